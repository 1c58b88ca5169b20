/** What is said about metrics and logs, and the files for Prometheus and Grafana, against what there is. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { noPromtool, promtool } from '../support/promtool.js'
import { repository } from './markdown.js'

const read = (path: string) => readFileSync(join(repository, path), 'utf8')
const page = read('docs/monitoring.md')
// A test of the metrics compares this list with /metrics itself.
const metrics = new Set([...page.matchAll(/^\| `((?:surreal_sync|process)_\w+)` \|/gm)].map(([, name]) => name))

function unknown(expression: string): readonly string[] {
  const named = expression.match(/\b(?:surreal_sync|process)_\w+/g) ?? []
  expect(named.length, expression).toBeGreaterThan(0)
  return named.filter((name) => !metrics.has(name) && !metrics.has(name.replace(/_(?:bucket|sum|count)$/, '')))
}

interface Panel {
  readonly id: number
  readonly title: string
  readonly type: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets: readonly { readonly refId: string; readonly expr: string }[]
}

describe('the dashboard', () => {
  const dashboard = JSON.parse(read('examples/monitoring/dashboard.json'))
  const panels: readonly Panel[] = dashboard.panels

  it('has the structure that Grafana reads', () => {
    expect(dashboard).toMatchObject({ title: 'surreal-sync', schemaVersion: expect.any(Number), time: { to: 'now' } })
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
    const variables = dashboard.templating.list.map(({ name }: { readonly name: string }) => name)
    const used = new Set(
      JSON.stringify(panels)
        .match(/\$\{?(?!__)\w+/g)
        ?.map((name) => name.replace(/\W/g, '')),
    )
    expect([...used].sort()).toEqual(variables.sort())
    for (const { type, title, targets, gridPos } of panels) {
      expect(['stat', 'timeseries']).toContain(type)
      expect(title).not.toBe('')
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24)
      expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length)
    }
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)},${y + Math.floor(cell / w)}`),
    )
    expect(new Set(cells).size).toBe(cells.length)
  })

  it('names no metric that there is not', () => {
    expect(panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => unknown(expr)))).toEqual([])
  })
})

describe('the alert rules', () => {
  const { groups } = parse(read('examples/monitoring/alerts.yaml'))
  const rules: readonly Record<string, unknown>[] = groups[0].rules

  it('have the structure that Prometheus reads', () => {
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length)
    for (const rule of rules) {
      expect(Object.keys(rule)).toEqual(['alert', 'expr', 'for', 'labels', 'annotations'])
      expect(rule).toMatchObject({
        alert: expect.stringMatching(/^SurrealSync[A-Z]\w+$/),
        for: expect.stringMatching(/^\d+[smh]$/),
        labels: { severity: expect.stringMatching(/^(?:warning|critical)$/) },
        annotations: { summary: expect.any(String), description: expect.any(String) },
      })
    }
  })

  it('name no metric that there is not', () => {
    const expressions = rules.map(({ expr }) => String(expr)).filter((expr) => !expr.startsWith('up{'))
    expect(expressions.flatMap(unknown)).toEqual([])
  })

  it('each have a test, by which promtool sees when they fire', ({ skip }) => {
    const { tests } = parse(read('examples/monitoring/alerts.test.yaml'))
    const tested = tests.flatMap((test: { readonly alert_rule_test: readonly { readonly alertname: string }[] }) =>
      test.alert_rule_test.map(({ alertname }) => alertname),
    )
    expect([...new Set(tested)].sort()).toEqual(rules.map(({ alert }) => alert).sort())
    skip(...noPromtool)
    const cwd = join(repository, 'examples/monitoring')
    for (const args of [
      ['check', 'rules', '--lint-fatal', 'alerts.yaml'],
      ['check', 'config', 'prometheus.yaml'],
      ['test', 'rules', 'alerts.test.yaml'],
    ]) {
      const { status, said } = promtool(args, { cwd })
      expect(status, said).toBe(0)
    }
  })

  it('are those that the configuration names', () => {
    const { rule_files, scrape_configs } = parse(read('examples/monitoring/prometheus.yaml'))
    expect(rule_files).toEqual(['alerts.yaml'])
    expect(rules[0]?.expr).toContain(`job="${scrape_configs[0].job_name}"`)
  })
})

it('the events of the log are those that are written down', () => {
  const documented = [...page.matchAll(/^\| `(\w+)` \| (?:error|warn|info|debug)/gm)].map(([, name]) => name)
  const files = readdirSync(join(repository, 'src/cli')).map((file) => read(`src/cli/${file}`))
  const written = files.flatMap((text) =>
    [...text.matchAll(/\b(?:event|toJson)\(\s*(?:'\w+'|this\.\S+ \? 'debug' : 'info'),\s*'(\w+)'/g)].map(
      ([, name]) => name,
    ),
  )
  expect([...new Set(written)].sort()).toEqual([...documented].sort())
})

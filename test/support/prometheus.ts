/**
 * Reads the text format of Prometheus by its grammar, and refuses everything else:
 * https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
 */

export interface Family {
  readonly type: string
  readonly help: string
  readonly samples: readonly Sample[]
}

export interface Sample {
  readonly name: string
  readonly labels: { readonly [name: string]: string }
  readonly value: number
}

const line = {
  help: /^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) ((?:[^\\\n]|\\\\|\\n)*)$/,
  type: /^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram|summary|untyped)$/,
  sample: /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/,
  label: /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(?:,|$)/,
  number: /^(?:[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[+-]Inf|NaN)$/,
}

/** @throws what is wrong with which line */
export function parseMetrics(text: string): ReadonlyMap<string, Family> {
  if (!text.endsWith('\n')) throw new Error('The last line has no end')
  const families = new Map<string, { type: string; help: string; samples: Sample[] }>()
  const seen = new Set<string>()
  let current: string | undefined
  let help: { readonly name: string; readonly text: string } | undefined
  for (const [index, one] of text.slice(0, -1).split('\n').entries()) {
    const fail = (what: string) => new Error(`Line ${index + 1} ${what}: ${one}`)
    if (one === '') continue
    const helped = line.help.exec(one)
    const typed = line.type.exec(one)
    const sampled = line.sample.exec(one)
    if (helped !== null) {
      help = { name: helped[1] ?? '', text: helped[2] ?? '' }
    } else if (typed !== null) {
      const [, name = '', type = ''] = typed
      if (families.has(name)) throw fail('repeats a family')
      if (help?.name !== name || help.text === '') throw fail('has no help')
      families.set(name, { type, help: help.text, samples: [] })
      current = name
    } else if (sampled !== null && !one.startsWith('#')) {
      const [, name = '', labels = '', number = ''] = sampled
      const family = current === undefined ? undefined : families.get(current)
      if (family === undefined || !belongs(name, current ?? '', family.type)) throw fail('stands outside of its family')
      if (!line.number.test(number)) throw fail('has no number')
      const sample = { name, labels: labelsOf(labels, fail), value: Number(number.replace('Inf', 'Infinity')) }
      const identity = JSON.stringify([name, Object.entries(sample.labels).sort()])
      if (seen.has(identity)) throw fail('repeats a sample')
      seen.add(identity)
      family.samples.push(sample)
    } else throw fail('is none of the grammar')
  }
  for (const [name, { type, samples }] of families) if (type === 'histogram') checkHistogram(name, samples)
  return families
}

/** Of one sample with exactly these labels. */
export function valueOfSample(
  families: ReadonlyMap<string, Family>,
  name: string,
  labels: Sample['labels'] = {},
): number | undefined {
  const wanted = JSON.stringify(Object.entries(labels).sort())
  const samples = families.get(name)?.samples ?? []
  return samples.find((sample) => JSON.stringify(Object.entries(sample.labels).sort()) === wanted)?.value
}

function belongs(sample: string, family: string, type: string): boolean {
  if (sample === family) return type !== 'histogram'
  const endings = { histogram: ['_bucket', '_sum', '_count'], summary: ['_sum', '_count'] }[type] ?? []
  return endings.some((ending) => sample === `${family}${ending}`)
}

function labelsOf(text: string, fail: (what: string) => Error): Sample['labels'] {
  const labels: Record<string, string> = {}
  let rest = text
  while (rest !== '') {
    const found = line.label.exec(rest)
    if (found === null) throw fail('has labels that cannot be read')
    const [whole, name = '', value = ''] = found
    if (Object.hasOwn(labels, name)) throw fail('repeats a label')
    labels[name] = value.replace(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped))
    rest = rest.slice(whole.length)
  }
  return labels
}

function checkHistogram(name: string, samples: readonly Sample[]): void {
  const buckets = samples.filter((sample) => sample.name === `${name}_bucket`)
  const limits = buckets.map(({ labels }) => Number((labels.le ?? '').replace('Inf', 'Infinity')))
  const counts = buckets.map(({ value }) => value)
  const grows = (numbers: readonly number[]) =>
    numbers.every((value, index) => index === 0 || value >= (numbers[index - 1] ?? 0))
  if (!grows(limits) || !grows(counts) || limits.at(-1) !== Infinity)
    throw new Error(`The buckets of ${name} do not grow`)
  if (counts.at(-1) !== samples.find((sample) => sample.name === `${name}_count`)?.value) {
    throw new Error(`The buckets of ${name} do not add up`)
  }
}

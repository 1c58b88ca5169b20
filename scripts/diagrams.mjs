// Draws the pictures of docs/how-it-works.md into docs/images: `npm run diagrams`. They are SVG without anything from
// elsewhere, so that they look the same on GitHub, in the site and offline.
import { mkdirSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

const ink = '#1f2937'
const line = '#4b5563'
const fills = { source: '#dbeafe', engine: '#f3f4f6', target: '#fce7f3', note: '#fef9c3' }
const lineHeight = 17

const xml = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/** Text around a point; several lines are set around its middle. */
function label(x, y, text, { anchor = 'middle', weight = 400 } = {}) {
  const lines = text.split('\n')
  const top = y - ((lines.length - 1) * lineHeight) / 2 + 4
  return lines
    .map(
      (one, index) =>
        `<text x="${x}" y="${top + index * lineHeight}" text-anchor="${anchor}" font-weight="${weight}">${xml(one)}</text>`,
    )
    .join('\n')
}

function box(x, y, width, height, text, fill = 'engine') {
  const frame = `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="8" fill="${fills[fill]}" stroke="${line}"/>`
  return `${frame}\n${label(x + width / 2, y + height / 2, text, { weight: 600 })}`
}

/** A line through points, with a head at its end. */
function arrow(points, { dashed = false } = {}) {
  const dash = dashed ? ' stroke-dasharray="5 4"' : ''
  return `<polyline points="${points.join(' ')}" fill="none" stroke="${line}" stroke-width="1.4"${dash} marker-end="url(#head)"/>`
}

function picture(width, height, title, parts) {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${xml(title)}" font-family="system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif" font-size="13" fill="${ink}">
<title>${xml(title)}</title>
<defs><marker id="head" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="8" markerHeight="8" orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" fill="${line}"/></marker></defs>
<rect width="${width}" height="${height}" rx="10" fill="#ffffff" stroke="#d1d5db"/>
${parts.join('\n')}
</svg>
`
}

/** Who says what to whom, from top to bottom. */
function sequence(title, names, steps) {
  const [left, step, top, row] = [90, 300, 30, 44]
  const at = (index) => left + index * step
  let y = top + 62
  const parts = []
  const open = []
  for (const { from, to, text, note, begin, end, dashed } of steps) {
    const extra = ((text ?? note ?? begin ?? '').split('\n').length - 1) * lineHeight
    if (begin !== undefined) {
      open.push({ top: y - 18, text: begin })
      y += row - 12
    } else if (end) {
      const frame = open.pop()
      const [x, width] = [at(0) - 60, at(names.length - 1) - at(0) + 120]
      parts.unshift(
        `<rect x="${x}" y="${frame.top}" width="${width}" height="${y - frame.top - 14}" rx="6" fill="none" stroke="${line}" stroke-dasharray="3 3"/>`,
        label(x + 10, frame.top + 14, frame.text, { anchor: 'start', weight: 600 }),
      )
      y += 12
    } else if (note !== undefined) {
      const height = 20 + (note.split('\n').length - 1) * lineHeight + 6
      parts.push(
        `<rect x="${at(from) - 150}" y="${y - 20}" width="300" height="${height}" rx="4" fill="${fills.note}" stroke="#d6b656"/>`,
        label(at(from), y - 20 + height / 2, note),
      )
      y += height + 18
    } else {
      y += extra
      parts.push(
        arrow([`${at(from)},${y}`, `${at(to)},${y}`], { dashed }),
        label((at(from) + at(to)) / 2, y - 11 - extra / 2, text),
      )
      y += row
    }
  }
  const lives = names.map(
    (_, index) => `<line x1="${at(index)}" y1="${top + 34}" x2="${at(index)}" y2="${y - 14}" stroke="#9ca3af"/>`,
  )
  const kinds = ['source', 'engine', 'target']
  const heads = names.map((name, index) => box(at(index) - 60, top - 10, 120, 36, name, kinds[index]))
  return picture(left * 2 + step * (names.length - 1), y + 6, title, [...lives, ...heads, ...parts])
}

const [postgres, engine, surreal] = [0, 1, 2]
const people = ['PostgreSQL', 'engine', 'SurrealDB']

export const diagrams = {
  parts: picture(900, 330, 'From PostgreSQL through source, transforms and sink into SurrealDB; checkpoints go back', [
    box(30, 40, 150, 60, 'PostgreSQL', 'source'),
    box(30, 210, 190, 60, 'surreal_sync_changes', 'source'),
    box(300, 40, 110, 60, 'source'),
    box(470, 40, 120, 60, 'transforms'),
    box(650, 40, 90, 60, 'sink'),
    box(620, 210, 150, 60, 'checkpoint store'),
    box(790, 210, 95, 60, 'SurrealDB', 'target'),
    arrow(['180,60', '300,60']),
    label(240, 48, 'rows by COPY'),
    arrow(['80,100', '80,210']),
    label(90, 155, 'trigger: the key of\nevery changed row', { anchor: 'start' }),
    arrow(['220,232', '330,232', '330,100']),
    label(275, 208, 'keys after\nthe position'),
    arrow(['410,70', '470,70']),
    label(440, 60, 'batches'),
    arrow(['590,70', '650,70']),
    label(620, 60, 'batches'),
    arrow(['740,70', '837,70', '837,210']),
    label(827, 140, 'rows and checkpoint,\none transaction', { anchor: 'end' }),
    arrow(['680,100', '680,210']),
    label(670, 182, 'durable', { anchor: 'end' }),
    arrow(['620,255', '385,255', '385,100'], { dashed: true }),
    label(500, 275, 'acknowledge: may be pruned'),
  ]),
  'full-sync': sequence('A full sync lies between the positions t1 and t2', people, [
    { from: engine, to: postgres, text: 'install triggers (at most 2 s for each lock)' },
    { from: engine, to: postgres, text: 'which position is it now?' },
    { from: postgres, to: engine, text: 't1', dashed: true },
    { from: engine, to: surreal, text: 'save full_sync_start (t1)' },
    { begin: 'each chunk of each table, several at once' },
    { from: engine, to: postgres, text: 'COPY' },
    { from: engine, to: surreal, text: 'rows' },
    { end: true },
    { from: engine, to: postgres, text: 'which position is it now?' },
    { from: postgres, to: engine, text: 't2', dashed: true },
    { from: engine, to: surreal, text: 'save full_sync_end (t2)' },
  ]),
  delta: sequence('A delta: keys, rows as they are now, one transaction', people, [
    { from: engine, to: postgres, text: 'which keys were logged after\nthe position, and in the gaps below it?' },
    { from: engine, to: postgres, text: 'in one snapshot:\nthese rows, as they are now' },
    {
      from: engine,
      note: 'a row that is there becomes an upsert (I1)\na key without a row becomes a delete\neach key once (I3)',
    },
    { from: engine, to: surreal, text: 'one transaction: rows, deletes,\nthe new position (I2, I10)' },
    { from: surreal, to: engine, text: 'committed', dashed: true },
    { from: engine, to: postgres, text: 'everything up to here may be forgotten' },
  ]),
  crash: picture(840, 300, 'Reading, writing, saved: whenever a crash comes, reading goes on from the position', [
    '<circle cx="40" cy="130" r="8" fill="#1f2937"/>',
    box(110, 100, 120, 60, 'reading'),
    box(360, 100, 120, 60, 'writing'),
    box(650, 100, 120, 60, 'saved'),
    arrow(['48,130', '110,130']),
    arrow(['230,130', '360,130']),
    label(295, 118, 'delta'),
    arrow(['480,130', '650,130']),
    label(565, 110, 'committed,\nwith its position'),
    arrow(['710,100', '710,50', '150,50', '150,100']),
    label(430, 38, 'acknowledged'),
    arrow(['420,160', '420,205', '195,205', '195,160'], { dashed: true }),
    label(308, 192, 'crash before the commit'),
    label(308, 222, 'the delta is read again, as the rows are then'),
    arrow(['710,160', '710,255', '145,255', '145,160'], { dashed: true }),
    label(565, 242, 'crash after the commit'),
    label(565, 272, 'the position is in the target: reading goes on after it'),
  ]),
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const folder = new URL('../docs/images/', import.meta.url)
  mkdirSync(folder, { recursive: true })
  for (const [name, text] of Object.entries(diagrams)) writeFileSync(new URL(`${name}.svg`, folder), text)
}

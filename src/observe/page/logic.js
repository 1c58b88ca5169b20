// What the page works out, apart from the page: figures as people read them, and plots.
globalThis.logic = (() => {
  const units = [
    [1e12, 'T'],
    [1e9, 'G'],
    [1e6, 'M'],
    [1e4, 'k'],
  ]

  /** `9,999`, `12.3k`, `4.6M` */
  const count = (value) => {
    const rounded = Math.round(value)
    const unit = units.find(([least]) => rounded >= least)
    if (unit === undefined) return String(rounded).replace(/\B(?=(?:\d{3})+$)/g, ',')
    const size = unit[1] === 'k' ? 1e3 : unit[0]
    return `${(value / size).toFixed(1)}${unit[1]}`
  }

  const rate = (perSecond) => `${perSecond > 0 && perSecond < 9.95 ? perSecond.toFixed(1) : count(perSecond)}/s`

  /** `12 ms`, `2.1 s`, `3 min 5 s`, `2 h 4 min`, `3 d 1 h` */
  const duration = (ms) => {
    if (ms < 1_000) return `${Math.round(ms)} ms`
    if (ms < 59_950) return `${(ms / 1_000).toFixed(1)} s`
    const seconds = Math.round(ms / 1_000)
    if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
    const minutes = Math.round(seconds / 60)
    if (minutes < 1_440) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
    const hours = Math.round(minutes / 60)
    return `${Math.floor(hours / 24)} d ${hours % 24} h`
  }

  /** `50 ms`, `100 s`, `20 min`: for axes, where space is short. */
  const time = (ms) => {
    const steps = [
      [1, 'ms', 1_000],
      [1_000, 's', 180_000],
      [60_000, 'min', 7_200_000],
      [3_600_000, 'h', Number.POSITIVE_INFINITY],
    ]
    const [size, unit] = steps.find(([, , end]) => ms < end)
    return `${Number((ms / size).toFixed(1))} ${unit}`
  }

  /** `512 B`, `1.5 MiB` */
  const bytes = (value) => {
    let scaled = value
    let unit = 'B'
    for (const larger of ['KiB', 'MiB', 'GiB', 'TiB']) {
      if (scaled < 1_023.95) break
      scaled /= 1_024
      unit = larger
    }
    return unit === 'B' ? `${scaled} B` : `${scaled.toFixed(1)} ${unit}`
  }

  /** The end of an axis: the next 1, 2 or 5 with zeros. */
  const niceCeiling = (value) => {
    if (!(value > 0)) return 1
    const power = 10 ** Math.floor(Math.log10(value))
    return [1, 2, 5, 10].map((step) => step * power).find((end) => end >= value * 0.9999) ?? 10 * power
  }

  /** How much of a table is copied, from 0 to 1; undefined where nobody knows. */
  const share = ({ state, rows, expected, chunks }) => {
    if (state === 'done') return 1
    if (chunks !== undefined && chunks.total > 1 && expected === undefined) return chunks.done / chunks.total
    if (expected === undefined || expected < rows) return undefined
    return expected === 0 ? 0 : rows / expected
  }

  /** Where points lie in a box. Points without a value are null, and break the curve. */
  const scaled = (points, { width, height, top }) => {
    const first = points[0]?.at ?? 0
    const span = Math.max(1, (points.at(-1)?.at ?? 0) - first)
    return points.map(({ at, value }) =>
      value === undefined || value === null
        ? null
        : { x: ((at - first) / span) * width, y: height - (Math.min(value, top) / top) * height },
    )
  }

  const runs = (places) => {
    const found = [[]]
    for (const place of places) {
      if (place === null) found.push([])
      else found.at(-1).push(place)
    }
    return found.filter((run) => run.length > 0)
  }

  const text = ({ x, y }) => `${x.toFixed(1)} ${y.toFixed(1)}`
  const curveOf = (run) => `M${run.map(text).join('L')}`

  /** The paths of a curve, and of what lies below it. */
  const paths = (points, box) => {
    const found = runs(scaled(points, box))
    const below = (run) =>
      `${curveOf(run)}L${run.at(-1).x.toFixed(1)} ${box.height}L${run[0].x.toFixed(1)} ${box.height}Z`
    return { curve: found.map(curveOf).join(''), area: found.map(below).join('') }
  }

  /** The point next to a place on the axis of time. */
  const nearest = (points, x, width) => {
    const places = scaled(points, { width, height: 1, top: 1 })
    let best
    for (const [index, point] of points.entries()) {
      if (places[index] === null) continue
      const distance = Math.abs(places[index].x - x)
      if (best === undefined || distance < best.distance) best = { point, distance, x: places[index].x }
    }
    return best
  }

  /** Points as the server joins them: the newest takes its place at the end. */
  const appended = (samples, sample) =>
    sample === undefined || samples.at(-1)?.at === sample.at ? samples : [...samples, sample]

  /** What a table does now, smoothed. */
  const smoothed = (before, latest) => (before === 0 ? latest : before + (latest - before) * 0.4)

  /** `30.0k of about 2.6M rows, 6 min 0 s left`; without the rest where nobody knows. */
  const copied = (tables, perSecond) => {
    const rows = tables.reduce((sum, table) => sum + table.rows, 0)
    const all = tables.reduce(
      (sum, { state, rows: done, expected }) => sum + (state === 'done' ? done : (expected ?? Number.NaN)),
      0,
    )
    if (!(all > rows)) return `${count(rows)} rows`
    const left = perSecond > 0 ? `, ${duration(((all - rows) * 1_000) / perSecond)} left` : ''
    return `${count(rows)} of about ${count(all)} rows${left}`
  }

  /** On average over the last points. */
  const lately = (samples) => {
    const last = samples.slice(-10)
    return last.reduce((sum, { rowsPerSecond }) => sum + rowsPerSecond, 0) / Math.max(1, last.length)
  }

  const stateOf = ({ state, ready, lagMs, error }) => {
    if (state === 'full') return ['copying', 'busy']
    if (state === 'incremental') {
      if (ready) return [lagMs === 0 ? 'in step' : 'following', 'good']
      return [lagMs === undefined ? 'catching up' : 'behind', 'warn']
    }
    if (state === 'failed') return [`failed: ${error}`, 'bad']
    if (state === 'completed') return ['finished', 'good']
    if (state === 'aborted') return ['stopped', 'warn']
    return [state, 'busy']
  }

  return {
    count,
    rate,
    duration,
    time,
    bytes,
    niceCeiling,
    share,
    paths,
    nearest,
    appended,
    smoothed,
    copied,
    lately,
    stateOf,
  }
})()

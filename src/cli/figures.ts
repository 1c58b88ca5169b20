/** Numbers as people read them. */

/** `2,037`, `12.3k`, `4.6M`. */
export function formatCount(count: number): string {
  if (count < 9_999.5) return formatExactly(Math.round(count))
  for (const [unit, size] of units) {
    const scaled = (count / size).toFixed(1)
    if (Number(scaled) < 1_000) return `${scaled}${unit}`
  }
  return `${(count / 1e12).toFixed(1)}T`
}

const units = [
  ['k', 1e3],
  ['M', 1e6],
  ['G', 1e9],
] as const

/** `1,234,567`. */
export function formatExactly(count: number): string {
  return String(count).replace(/\B(?=(?:\d{3})+$)/g, ',')
}

/** `12 ms`, `2.1 s`, `3 min 5 s`, `2 h 4 min`, `3 d 1 h`. */
export function formatDuration(durationMs: number): string {
  if (durationMs < 1_000) return `${Math.round(durationMs)} ms`
  if (durationMs < 59_950) return `${(durationMs / 1_000).toFixed(1)} s`
  const seconds = Math.round(durationMs / 1_000)
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 1_440) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
  const hours = Math.round(minutes / 60)
  return `${Math.floor(hours / 24)} d ${hours % 24} h`
}

/** `512 B`, `1.5 MiB`. */
export function formatBytes(bytes: number): string {
  let [scaled, unit] = [bytes, 'B']
  for (const larger of ['KiB', 'MiB', 'GiB', 'TiB']) {
    if (scaled < 1_023.95) break
    ;[scaled, unit] = [scaled / 1_024, larger]
  }
  return unit === 'B' ? `${scaled} B` : `${scaled.toFixed(1)} ${unit}`
}

/** `158.2k/s`. Below ten with one digit more. */
export function formatRate(perSecond: number): string {
  return perSecond > 0 && perSecond < 9.95 ? `${perSecond.toFixed(1)}/s` : `${formatCount(perSecond)}/s`
}

/** `1 table`, `3 tables`. */
export function plural(count: number, noun: string): string {
  return `${formatExactly(count)} ${noun}${count === 1 ? '' : 's'}`
}

/** UUIDs as text (RFC 9562). */
const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** The sixteen bytes from `start` on. */
export function uuidText(source: Uint8Array, start: number): string {
  let text = ''
  for (let index = 0; index < 16; index += 1) {
    if (index === 4 || index === 6 || index === 8 || index === 10) text += '-'
    text += hex[source[start + index] ?? 0]
  }
  return text
}

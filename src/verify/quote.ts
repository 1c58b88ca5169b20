/** A name in SQL text. */
export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

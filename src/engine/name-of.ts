/** What may be said about a foreign error: its message may contain anything. */
export function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error
}

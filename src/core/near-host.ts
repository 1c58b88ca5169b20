/** Which hosts are near by. */

const privateAddress = /^(127|10|192\.168|172\.(1[6-9]|2\d|3[01])|169\.254)(\.\d{1,3}){1,3}$/
const octets = /^\d{1,3}(\.\d{1,3}){3}$/

/** Whether a host is a loopback or private address, or a name without a dot, where a server without TLS is usual. */
export function isNearHost(host: string): boolean {
  const name = host.replace(/^\[|\]$/g, '').toLowerCase()
  if (name.includes(':')) return name === '::1' || /^f[cd][0-9a-f]{2}:/.test(name)
  if (octets.test(name)) return privateAddress.test(name)
  return !name.includes('.')
}

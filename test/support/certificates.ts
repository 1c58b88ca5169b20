/** X.509 certificates for tests, made without any program: https://www.rfc-editor.org/rfc/rfc5280 */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { isIP } from 'node:net'

export interface Certificate {
  readonly certificate: string
  readonly key: string
  readonly keyObject: KeyObject
  /** As it stands in certificates that it signs. */
  readonly subject: Buffer
}

export interface CertificateOptions {
  /** The common name. */
  readonly name: string
  /** DNS names and IPv4 addresses. */
  readonly hosts?: readonly string[]
  /** Who signs. @defaultValue itself, and it is an authority */
  readonly authority?: Certificate
}

const dayMs = 86_400_000
const oid = { ecdsaWithSha256: '2a8648ce3d040302', commonName: '550403', basicConstraints: '551d13', hosts: '551d11' }

/** A certificate that holds from yesterday until in a month. */
export function createCertificate({ name, hosts = [], authority }: CertificateOptions): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const subject = sequence(set(sequence(objectId(oid.commonName), der(0x0c, Buffer.from(name)))))
  const algorithm = sequence(objectId(oid.ecdsaWithSha256))
  const isAuthority = authority === undefined
  const extensions = sequence(
    sequence(
      objectId(oid.basicConstraints),
      der(0x01, Buffer.from([0xff])),
      der(0x04, sequence(...(isAuthority ? [der(0x01, Buffer.from([0xff]))] : []))),
    ),
    ...(hosts.length === 0 ? [] : [sequence(objectId(oid.hosts), der(0x04, sequence(...hosts.map(host))))]),
  )
  const content = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    authority?.subject ?? subject,
    sequence(time(Date.now() - dayMs), time(Date.now() + 30 * dayMs)),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, extensions),
  )
  const signature = sign('sha256', content, authority?.keyObject ?? privateKey)
  const whole = sequence(content, algorithm, der(0x03, Buffer.concat([Buffer.from([0]), signature])))
  const lines = whole.toString('base64').match(/.{1,64}/g) ?? []
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    keyObject: privateKey,
    subject,
  }
}

function der(tag: number, content: Buffer): Buffer {
  const { length } = content
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content])
  return Buffer.concat([Buffer.from([tag, 0x82, length >> 8, length & 0xff]), content])
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts))
}

function set(part: Buffer): Buffer {
  return der(0x31, part)
}

function objectId(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'))
}

function time(atMs: number): Buffer {
  const digits = new Date(atMs).toISOString().replace(/\D/g, '')
  return der(0x17, Buffer.from(`${digits.slice(2, 14)}Z`))
}

function host(name: string): Buffer {
  if (isIP(name) === 4) return der(0x87, Buffer.from(name.split('.').map(Number)))
  return der(0x82, Buffer.from(name))
}

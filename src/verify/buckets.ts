/** Sums over records that do not depend on their order: equal sums, equal records. */
import { createHash } from 'node:crypto'
import { printValue, type SurrealValue } from './surreal-value.js'

export const bucketCount = 16_384
const lanes = 4

export interface Hashed {
  /** The printed key. */
  readonly key: string
  readonly bucket: number
  /** The first 16 bytes of the SHA-256 of key and fields. */
  readonly digest: Buffer
}

/** The same for records that are the same, in whatever order their fields come. */
export function hashRecord(record: {
  readonly key: SurrealValue
  readonly fields: ReadonlyMap<string, SurrealValue>
}): Hashed {
  const key = printValue(record.key)
  const content = printValue({ kind: 'object', fields: record.fields })
  const digest = createHash('sha256')
    .update(`${key}\n${content}`)
    .digest()
    .subarray(0, lanes * 4)
  return { key, bucket: bucketOf(key), digest }
}

/** FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/ */
function bucketOf(text: string): number {
  let value = 0x811c9dc5
  for (let index = 0; index < text.length; index += 1) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193)
  return ((value >>> 0) ^ (value >>> 15)) & (bucketCount - 1)
}

/** Of one side: in each bucket the number of records, and the sum of their digests by 32 bits. */
export class Buckets {
  readonly #counts = new Uint32Array(bucketCount)
  readonly #sums = new Uint32Array(bucketCount * lanes)
  #total = 0

  add({ bucket, digest }: Hashed): void {
    this.#total += 1
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
    for (let lane = 0; lane < lanes; lane += 1) {
      const index = bucket * lanes + lane
      this.#sums[index] = (this.#sums[index] ?? 0) + digest.readUInt32LE(lane * 4)
    }
  }

  get total(): number {
    return this.#total
  }

  count(bucket: number): number {
    return this.#counts[bucket] ?? 0
  }

  /** The buckets in which the two sides are not the same. */
  differing(other: Buckets): readonly number[] {
    const found: number[] = []
    for (let bucket = 0; bucket < bucketCount; bucket += 1) if (!this.#same(other, bucket)) found.push(bucket)
    return found
  }

  #same(other: Buckets, bucket: number): boolean {
    if (this.#counts[bucket] !== other.#counts[bucket]) return false
    for (let index = bucket * lanes; index < (bucket + 1) * lanes; index += 1) {
      if (this.#sums[index] !== other.#sums[index]) return false
    }
    return true
  }
}

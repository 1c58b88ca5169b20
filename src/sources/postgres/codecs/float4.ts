/** real: four bytes, of which the shortest decimal is what people mean. */
import { type Codec, unexpected } from './codec.js'

export const float4Codec: Codec = {
  decode(wire, start, end) {
    if (end - start !== 4) throw unexpected('float4')
    return shortestFloat4(wire.view.getFloat32(start))
  },
  transcode(wire, start, end, writer) {
    if (end - start !== 4) throw unexpected('float4')
    writer.float(shortestFloat4(wire.view.getFloat32(start)))
  },
}

/** Every decimal of so many digits survives a float4, and so many always suffice. */
const digitsMin = 6
const digitsMax = 9
const scratch = new DataView(new ArrayBuffer(4))
/** These are exact in a double. */
const powersOfTen: readonly number[] = Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`))

/**
 * The double nearest to the shortest decimal that reads back as the same float4: 3.14, not 3.140000104904175. PostgreSQL
 * prints float4 by the same rule (Ryu, without the bounds of the rounding interval).
 */
export function shortestFloat4(value: number): number {
  if (!Number.isFinite(value) || (Number.isInteger(value) && Math.abs(value) < 1_000_000)) return value
  const size = Math.abs(value)
  scratch.setFloat32(0, size)
  const bits = scratch.getUint32(0)
  const shortest = quickShortest(size, bits) ?? exactShortest(size, bits)
  return value < 0 ? -shortest : shortest
}

/** In doubles. `undefined`: they cannot tell. */
function quickShortest(size: number, bits: number): number | undefined {
  // The interval around a power of two is not symmetric, and below 2^-126 the digits are fewer.
  if ((bits & 0x7f_ffff) === 0 || bits < 0x80_0000) return undefined
  scratch.setUint32(0, bits - 1)
  const halfGap = (size - scratch.getFloat32(0)) / 2
  const magnitude = Math.floor(Math.log10(size))
  for (let digits = digitsMin; digits <= digitsMax; digits += 1) {
    const scale = powersOfTen[digits - 1 - magnitude]
    if (scale === undefined) return undefined
    const scaled = size * scale
    const whole = Math.floor(scaled)
    const rest = scaled - whole
    if (rest > 0.499999 && rest < 0.500001) return undefined
    const candidate = (rest < 0.5 ? whole : whole + 1) / scale
    const distance = Math.abs(candidate - size)
    if (distance === halfGap) return undefined
    if (distance < halfGap) return candidate
  }
  return undefined
}

/** In integers: the decimal of fewest digits strictly between the midpoints to both neighbours, and nearest to the value. */
function exactShortest(size: number, bits: number): number {
  const exponentBits = bits >>> 23
  const fraction = BigInt(bits & 0x7f_ffff)
  const mantissa = exponentBits === 0 ? fraction : fraction + 0x80_0000n
  const exponent = Math.max(exponentBits, 1) - 150
  const isPowerOfTwo = fraction === 0n && exponentBits > 1
  const magnitude = Number(size.toExponential(20).split('e')[1])
  for (let digits = 1; digits < digitsMax; digits += 1) {
    // In units of a quarter of the gap, times whatever makes the decimal's unit an integer, too.
    const power = magnitude - digits + 1
    const quarter = (power < 0 ? 10n ** BigInt(-power) : 1n) * (exponent > 2 ? 1n << BigInt(exponent - 2) : 1n)
    const unit = (power > 0 ? 10n ** BigInt(power) : 1n) * (exponent < 2 ? 1n << BigInt(2 - exponent) : 1n)
    const middle = 4n * mantissa * quarter
    const low = middle - (isPowerOfTwo ? 1n : 2n) * quarter
    const high = middle + 2n * quarter
    const below = middle / unit
    const twiceRest = 2n * (middle - below * unit)
    const roundsUp = twiceRest > unit || (twiceRest === unit && below % 2n === 1n)
    for (const decimal of roundsUp ? [below + 1n, below] : [below, below + 1n]) {
      if (decimal * unit > low && decimal * unit < high) return Number(`${decimal}e${power}`)
    }
  }
  return Number(size.toPrecision(digitsMax))
}

/** Hands out buffers to encode into, each to one write at a time: more writes may be encoding than there are lanes. */
import { CborWriter } from './cbor-writer.js'
import type { SinkConfig } from './options.js'

export class WriterPool {
  readonly #choices: SinkConfig['choices']
  readonly #free: CborWriter[] = []

  constructor(choices: SinkConfig['choices']) {
    this.#choices = choices
  }

  async use(work: (writer: CborWriter) => Promise<void>): Promise<void> {
    const writer = this.#free.pop() ?? new CborWriter(this.#choices.general)
    try {
      await work(writer)
    } finally {
      this.#free.push(writer)
    }
  }
}

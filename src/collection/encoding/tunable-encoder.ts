import type { Encoder, ModelDescription } from "../../encoder/index.js";
import type { Embedder } from "./embedder.js";
import type { EncoderPool } from "./encoder-pool.js";

/** The encoder of a collection, as something that tuned copies are made of: the same inputs, other weights in a file of their own. */
export class TunableEncoder {
  constructor(
    private readonly pool: EncoderPool,
    private readonly specification: string,
    private readonly embedderOf: (encoder: Encoder) => Embedder,
  ) {}

  /** Opens the tuned copy in the file `model`. @throws invalid_encoder, provider_unavailable */
  async open(model: string): Promise<{ embedder: Embedder; release: () => Promise<void> }> {
    const encoder = await this.pool.acquire(this.specification, model);
    return { embedder: this.embedderOf(encoder), release: () => this.pool.release(this.specification, model) };
  }

  /** What a training needs to know of it, or of the tuned copy in the file `model`. @throws unknown_encoder, invalid_encoder */
  describe(model?: string): Promise<ModelDescription> {
    return this.pool.describe(this.specification, model);
  }
}

import type { CollectionSettings } from "../../../schemas/index.js";
import type { Encoder } from "../../encoder/index.js";
import { AttuneError } from "../../errors/index.js";
import type { Logger } from "../logger.js";

/** Texts go to the encoder in blocks of this many, so that one huge batch does not hold its memory twice. */
const BLOCK = 2048;

/** Turns the texts of one collection into base vectors: prompt, encoder, and a word once when a text was cut. */
export class Embedder {
  private reportedTruncation = false;

  constructor(
    private readonly collection: string,
    private readonly encoder: Encoder | undefined,
    private readonly prompts: CollectionSettings["prompts"],
    private readonly log: Logger,
  ) {}

  /**
   * Base vectors of `texts`, (texts.length x dimensions), row after row.
   * @throws no_encoder
   */
  async embed(texts: readonly string[], role: "query" | "item"): Promise<Float32Array> {
    return (await this.embedCounting(texts, role)).rows;
  }

  /** Also tells how many tokens the encoder saw. @throws no_encoder */
  async embedCounting(
    texts: readonly string[],
    role: "query" | "item",
  ): Promise<{ rows: Float32Array; tokens: number }> {
    const encoder = this.encoder;
    if (encoder === undefined) {
      throw new AttuneError(
        "no_encoder",
        `The collection ${this.collection} holds vectors and has no encoder for text; send "vector" instead.`,
      );
    }
    const prompt = (role === "query" ? this.prompts?.query : this.prompts?.item) ?? "";
    const rows = new Float32Array(texts.length * encoder.dimensions);
    let tokens = 0;
    for (let first = 0; first < texts.length; first += BLOCK) {
      const block = texts.slice(first, first + BLOCK).map((text) => prompt + text);
      const encoded = await encoder.encode(block, { priority: role === "query" ? "query" : "bulk" });
      rows.set(encoded.vectors, first * encoder.dimensions);
      tokens += encoded.tokens;
      this.reportTruncation(encoded.truncated, encoder.maxTokens);
    }
    return { rows, tokens };
  }

  private reportTruncation(truncated: number, maxTokens: number): void {
    if (truncated === 0 || this.reportedTruncation) return;
    this.reportedTruncation = true;
    this.log.warn(
      `Collection ${this.collection}: a text is longer than the encoder's ${maxTokens} tokens; what is beyond them is not embedded. This is said once.`,
    );
  }
}

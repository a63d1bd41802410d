import type { CollectionSettings } from "../../../schemas/index.js";
import type { Encoder, EncoderInput } from "../../encoder/index.js";
import { AttuneError } from "../../errors/index.js";
import type { Logger } from "../logger.js";
import type { EncodingLoad } from "./encoding-load.js";
import type { RecentTexts } from "./recent-texts.js";

/** Contents go to the encoder in blocks of this many, so that one huge batch does not hold its memory twice. */
const BLOCK = 2048;

/** What all collections have in common. */
export interface SharedEncoding {
  recent: RecentTexts;
  load: EncodingLoad;
}

/** Turns the contents of one collection into embeddings: prompt, encoder, and a word once when a text was cut. */
export class Embedder {
  private reportedTruncation = false;
  /** What stands for the encoder among the recent texts. */
  private readonly encoderNumber: number;

  constructor(
    private readonly collection: string,
    private readonly encoder: Encoder | undefined,
    private readonly prompts: CollectionSettings["prompts"],
    private readonly log: Logger,
    private readonly shared: SharedEncoding,
  ) {
    this.encoderNumber = shared.recent.numberOf(encoder?.identity ?? {});
  }

  /**
   * Embeddings of `inputs`, (inputs.length x dimensions), row after row. Prompts stand before texts only.
   * @throws no_encoder
   */
  async embed(inputs: readonly EncoderInput[], role: "item" | "query"): Promise<Float32Array> {
    return (await this.embedCounting(inputs, role)).rows;
  }

  /** Also tells how many tokens the encoder saw. @throws no_encoder */
  async embedCounting(
    inputs: readonly EncoderInput[],
    role: "item" | "query",
  ): Promise<{ rows: Float32Array; tokens: number }> {
    const encoder = this.encoder;
    if (encoder === undefined) {
      throw new AttuneError(
        "no_encoder",
        `The collection ${this.collection} holds vectors and has no encoder; send "vector" instead.`,
      );
    }
    const [text] = inputs;
    if (role === "query" && inputs.length === 1 && typeof text === "string") return this.embedQuery(text, encoder);
    const embed = () => this.embedBlocks(inputs, role, encoder);
    return role === "item" && encoder.provider === "cpu" ? this.shared.load.during(embed) : embed();
  }

  private async embedBlocks(
    inputs: readonly EncoderInput[],
    role: "item" | "query",
    encoder: Encoder,
  ): Promise<{ rows: Float32Array; tokens: number }> {
    const rows = new Float32Array(inputs.length * encoder.dimensions);
    let tokens = 0;
    for (let first = 0; first < inputs.length; first += BLOCK) {
      const block = inputs
        .slice(first, first + BLOCK)
        .map((input) => (typeof input === "string" ? this.prompted(input, role) : input));
      const encoded = await encoder.encode(block, { priority: role === "query" ? "query" : "bulk" });
      rows.set(encoded.vectors, first * encoder.dimensions);
      tokens += encoded.tokens;
      this.reportTruncation(encoded.truncated, encoder.maxTokens);
    }
    return { rows, tokens };
  }

  private async embedQuery(text: string, encoder: Encoder): Promise<{ rows: Float32Array; tokens: number }> {
    const prompted = this.prompted(text, "query");
    const { vectors, tokens } = await this.shared.recent.get(
      this.encoderNumber,
      prompted,
      encoder.dimensions,
      async () => {
        const encoded = await encoder.encode([prompted], { priority: "query" });
        this.reportTruncation(encoded.truncated, encoder.maxTokens);
        return encoded;
      },
    );
    return { rows: vectors.slice(), tokens };
  }

  /** A text as the encoder reads it. */
  prompted(text: string, role: "item" | "query"): string {
    return (this.prompts?.[role] ?? "") + text;
  }

  private reportTruncation(truncated: number, maxTokens: number): void {
    if (truncated === 0 || this.reportedTruncation) return;
    this.reportedTruncation = true;
    this.log.warn(
      `Collection ${this.collection}: a text is longer than the encoder's ${maxTokens} tokens; what is beyond them is not embedded. This is said once.`,
    );
  }
}

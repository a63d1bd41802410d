import { AttuneError } from "../../errors/index.js";
import type { Tensor } from "../../runtime/index.js";
import type { EncoderInput } from "../encoder.js";
import type { TextModelDescription } from "../model-description.js";
import { openTokenizer } from "../tokenizers/open-tokenizer.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import type { ModelInputs, PreparedInput, PreparedText } from "./model-inputs.js";

/** How each input that a text encoder may declare is filled; `mask` is 1 for a token and 0 for padding. */
const INPUTS: Record<string, (id: bigint, mask: bigint, position: bigint) => bigint> = {
  input_ids: (id) => id,
  attention_mask: (_id, mask) => mask,
  token_type_ids: () => 0n,
  position_ids: (_id, _mask, position) => position,
};
/** Of different lengths, so that a model with a fixed batch or length is found out when it is opened. */
const PROBE_TEXTS = ["hello", "a probe of another length"] as const;

/** Texts as token ids, padded on the right to the longest of a batch. */
export class TextInputs implements ModelInputs {
  readonly modality = "text";
  readonly equalLengths: boolean;
  readonly #names: readonly string[];

  private constructor(
    private readonly tokenizer: Tokenizer,
    private readonly description: TextModelDescription,
    names: readonly string[] | undefined,
  ) {
    this.#names = names ?? Object.keys(INPUTS);
    checkInputs(this.#names, description.modelPath);
    this.equalLengths = description.padToMaximum !== true && !this.#names.includes("attention_mask");
  }

  /**
   * @param names The inputs that the model declares. @default all that a text encoder may declare
   * @throws invalid_encoder when one of them is unknown, or the tokenizer cannot be used
   */
  static async open(description: TextModelDescription, names?: readonly string[]): Promise<TextInputs> {
    return new TextInputs(await openTokenizer(description), description, names);
  }

  async prepare(inputs: readonly EncoderInput[]): Promise<PreparedInput[]> {
    return inputs.map((input) => this.prepareOne(input));
  }

  prepareOne(input: EncoderInput): PreparedText {
    if (typeof input !== "string") {
      throw new AttuneError(
        "wrong_modality",
        `The encoder ${this.description.id} reads texts, not images. Send a text, or use an image encoder.`,
      );
    }
    const { ids, truncated } = this.tokenizer.tokenize(input);
    // Some tokenizers leave nothing of a text; the model still needs one token.
    return { kind: "tokens", ids: ids.length > 0 ? ids : [this.tokenizer.padId], truncated };
  }

  feeds(batch: readonly PreparedInput[]): Record<string, Tensor> {
    const rows = batch.map(idsOf);
    const least = this.description.padToMaximum ? this.description.maxTokens : 1;
    const width = rows.reduce((longest, row) => Math.max(longest, row.length), least);
    const feeds: Record<string, Tensor> = {};
    for (const name of this.#names) {
      const fill = INPUTS[name];
      if (fill === undefined) continue;
      const data = new BigInt64Array(rows.length * width);
      for (const [index, row] of rows.entries()) {
        for (let at = 0; at < width; at++) {
          const id = row[at];
          data[index * width + at] = fill(BigInt(id ?? this.tokenizer.padId), id === undefined ? 0n : 1n, BigInt(at));
        }
      }
      feeds[name] = { dtype: "int64", shape: [rows.length, width], data };
    }
    return feeds;
  }

  probes(): PreparedText[] {
    return PROBE_TEXTS.map((text) => this.prepareOne(this.equalLengths ? PROBE_TEXTS[0] : text));
  }
}

function idsOf(prepared: PreparedInput): readonly number[] {
  if (prepared.kind === "tokens") return prepared.ids;
  throw new AttuneError("internal", "A batch of texts holds an image.");
}

function checkInputs(names: readonly string[], path: string): void {
  const unknown = names.filter((name) => !Object.hasOwn(INPUTS, name));
  if (unknown.length === 0 && names.includes("input_ids")) return;
  const problem = unknown.length > 0 ? `it has the inputs ${unknown.join(", ")}` : "it has no input input_ids";
  throw new AttuneError(
    "invalid_encoder",
    `${path} is not a usable text encoder: ${problem}; known inputs are ${Object.keys(INPUTS).join(", ")}.`,
  );
}

import { AttuneError } from "../../errors/index.js";
import { openSession, type ProviderChoice, type Session, type Tensor } from "../../runtime/index.js";
import type { Pooling } from "../encoder.js";
import { normalizeRows, poolTokens } from "../pooling.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import type { BatchModel } from "./encode-queue.js";
import type { ModelDescription } from "./protocol.js";

/** How each input that an encoder may declare is filled; `mask` is 1 for a token and 0 for padding. */
const INPUTS: Record<string, (id: bigint, mask: bigint, position: bigint) => bigint> = {
  input_ids: (id) => id,
  attention_mask: (_id, mask) => mask,
  token_type_ids: () => 0n,
  position_ids: (_id, _mask, position) => position,
};
/** Outputs we know, the finished embedding first: its pooling and further layers are the model author's own. */
const OUTPUTS = ["sentence_embedding", "last_hidden_state", "token_embeddings", "text_embeds", "pooler_output"];
/** Of different lengths, so that a model with a fixed batch or length is found out when it is opened. */
const PROBE_TEXTS = ["hello", "a probe of another length"];

export interface TextModelOptions {
  provider: ProviderChoice;
  threads: number | undefined;
  log: (message: string) => void;
}

interface RowsOfOutput {
  vectors: Float32Array;
  dimensions: number;
  pooled: boolean;
}

/** An ONNX text encoder: token rows in, one embedding a row out. */
export class TextModel implements BatchModel {
  dimensions = 0;
  pooling: Pooling;
  readonly provider: string;
  readonly equalLengths: boolean;
  readonly #output: string;

  private constructor(
    private readonly session: Session,
    private readonly description: ModelDescription,
    private readonly padId: number,
  ) {
    this.provider = session.provider;
    this.pooling = description.pooling;
    this.equalLengths = !session.inputNames.includes("attention_mask");
    this.#output = chooseOutput(session.outputNames, description.modelPath);
    checkInputs(session.inputNames, description.modelPath);
  }

  /**
   * Opens the model and runs it once.
   * @throws invalid_encoder when it is no ONNX model, is not a text encoder, or fails; provider_unavailable.
   */
  static async open(
    description: ModelDescription,
    tokenizer: Tokenizer,
    options: TextModelOptions,
  ): Promise<TextModel> {
    const session = await openSession(description.modelPath, options);
    try {
      const model = new TextModel(session, description, tokenizer.padId);
      await model.#probe(tokenizer);
      return model;
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  async embed(rows: readonly (readonly number[])[]): Promise<Float32Array> {
    const { vectors } = await this.#embed(rows);
    if (!vectors.every(Number.isFinite)) throw this.#invalid("its embeddings hold numbers that are not finite");
    if (this.description.normalize) normalizeRows(vectors, this.dimensions);
    return vectors;
  }

  async close(): Promise<void> {
    await this.session.close();
  }

  async #probe(tokenizer: Tokenizer): Promise<void> {
    const rows = PROBE_TEXTS.map((text) => tokenizer.tokenize(text).ids);
    const { dimensions, pooled } = await this.#embed(this.equalLengths ? rows.slice(0, 1) : rows);
    this.dimensions = dimensions;
    if (pooled) this.pooling = "model";
  }

  async #embed(rows: readonly (readonly number[])[]): Promise<RowsOfOutput> {
    const outputs = await this.session.run(this.#feeds(rows), [this.#output]);
    const output = outputs[this.#output];
    if (output === undefined || !(output.data instanceof Float32Array)) {
      throw this.#invalid(`its output ${this.#output} is ${output?.dtype ?? "missing"}; an encoder gives float32`);
    }
    return this.#rowsOf(output, output.data, rows);
  }

  #rowsOf({ shape }: Tensor, data: Float32Array, rows: readonly (readonly number[])[]): RowsOfOutput {
    const [batch, second = 0, third = 0] = shape;
    if (batch === rows.length && shape.length === 2) return { vectors: data, dimensions: second, pooled: true };
    const lengths = rows.map((row) => row.length);
    if (batch !== rows.length || shape.length !== 3 || second !== Math.max(...lengths)) {
      throw this.#invalid(
        `its output ${this.#output} has the shape [${shape}]; expected [${rows.length}, dimensions] or [${rows.length}, tokens, dimensions]`,
      );
    }
    const embeddings = { data, tokens: second, dimensions: third };
    return { vectors: poolTokens(embeddings, lengths, this.description.pooling), dimensions: third, pooled: false };
  }

  /** Rows padded on the right to the longest, as the inputs that the model declares. */
  #feeds(rows: readonly (readonly number[])[]): Record<string, Tensor> {
    const width = rows.reduce((longest, row) => Math.max(longest, row.length), 1);
    const feeds: Record<string, Tensor> = {};
    for (const name of this.session.inputNames) {
      const fill = INPUTS[name];
      if (fill === undefined) continue;
      const data = new BigInt64Array(rows.length * width);
      for (const [index, row] of rows.entries()) {
        for (let at = 0; at < width; at++) {
          const id = row[at];
          data[index * width + at] = fill(BigInt(id ?? this.padId), id === undefined ? 0n : 1n, BigInt(at));
        }
      }
      feeds[name] = { dtype: "int64", shape: [rows.length, width], data };
    }
    return feeds;
  }

  #invalid(what: string): AttuneError {
    return new AttuneError("invalid_encoder", `${this.description.modelPath} is not a usable text encoder: ${what}.`);
  }
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

function chooseOutput(names: readonly string[], path: string): string {
  const known = OUTPUTS.find((name) => names.includes(name));
  const only = names.length === 1 ? names[0] : undefined;
  const chosen = known ?? only;
  if (chosen !== undefined) return chosen;
  throw new AttuneError(
    "invalid_encoder",
    `${path} is not a usable text encoder: its outputs are ${names.join(", ")}; expected one of ${OUTPUTS.join(", ")}.`,
  );
}

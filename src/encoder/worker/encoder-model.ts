import { AttuneError } from "../../errors/index.js";
import { openSession, type ProviderChoice, type Session, type Tensor } from "../../runtime/index.js";
import type { EncoderInput, Pooling } from "../encoder.js";
import type { ModelInputs, PreparedInput } from "../inputs/model-inputs.js";
import { openModelInputs } from "../inputs/open-model-inputs.js";
import type { ModelDescription } from "../model-description.js";
import { chooseOutput } from "../outputs.js";
import { meanOfPlanes, normalizeRows, poolTokens } from "../pooling.js";
import type { BatchModel } from "./encode-queue.js";

export interface EncoderModelOptions {
  provider: ProviderChoice;
  threads: number | undefined;
  log: (message: string) => void;
}

interface Embeddings {
  vectors: Float32Array;
  dimensions: number;
  pooling: Pooling;
}

/** An ONNX encoder with what prepares its inputs: texts or images in, one embedding each out. */
export class EncoderModel implements BatchModel {
  dimensions = 0;
  pooling: Pooling;
  readonly provider: string;
  readonly #output: string;

  private constructor(
    private readonly session: Session,
    private readonly inputs: ModelInputs,
    private readonly description: ModelDescription,
  ) {
    this.provider = session.provider;
    this.pooling = description.pooling;
    this.#output = chooseOutput(session.outputNames, description);
  }

  get equalLengths(): boolean {
    return this.inputs.equalLengths;
  }

  /**
   * Opens the model and runs it once.
   * @throws invalid_encoder when it is no ONNX model, is not an encoder of what was described, or fails; provider_unavailable.
   */
  static async open(description: ModelDescription, options: EncoderModelOptions): Promise<EncoderModel> {
    const session = await openSession(description.modelPath, options);
    try {
      const inputs = await openModelInputs(description, session.inputNames);
      const model = new EncoderModel(session, inputs, description);
      await model.#probe();
      return model;
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  prepare(input: EncoderInput): PreparedInput | Promise<PreparedInput> {
    return this.inputs.prepareOne(input);
  }

  async embed(batch: readonly PreparedInput[]): Promise<Float32Array> {
    const { vectors } = await this.#embed(batch);
    if (!vectors.every(Number.isFinite)) throw this.#invalid("its embeddings hold numbers that are not finite");
    if (this.description.normalize) normalizeRows(vectors, this.dimensions);
    return vectors;
  }

  async close(): Promise<void> {
    await this.session.close();
  }

  async #probe(): Promise<void> {
    const { dimensions, pooling } = await this.#embed(this.inputs.probes());
    this.dimensions = dimensions;
    this.pooling = pooling;
  }

  async #embed(batch: readonly PreparedInput[]): Promise<Embeddings> {
    const outputs = await this.session.run(this.inputs.feeds(batch), [this.#output]);
    const output = outputs[this.#output];
    if (output === undefined || !(output.data instanceof Float32Array)) {
      throw this.#invalid(`its output ${this.#output} is ${output?.dtype ?? "missing"}; an encoder gives float32`);
    }
    return this.#rowsOf(output, output.data, batch);
  }

  /** (n, d) is taken as it is, (n, tokens, d) is pooled as described, and of (n, d, height, width) the mean is taken. */
  #rowsOf({ shape }: Tensor, data: Float32Array, batch: readonly PreparedInput[]): Embeddings {
    const [rows, second = 0, third = 0, fourth = 0] = shape;
    const { pooling } = this.description;
    if (rows === batch.length && shape.length === 2) return { vectors: data, dimensions: second, pooling: "model" };
    if (rows === batch.length && shape.length === 4 && this.inputs.modality === "image") {
      return { vectors: meanOfPlanes(data, third * fourth), dimensions: second, pooling: "mean" };
    }
    const lengths = batch.map((input) => (input.kind === "tokens" ? input.ids.length : second));
    if (rows !== batch.length || shape.length !== 3 || second < Math.max(...lengths)) {
      throw this.#invalid(
        `its output ${this.#output} has the shape [${shape}]; expected ${this.#expected(batch.length)}`,
      );
    }
    const embeddings = { data, tokens: second, dimensions: third };
    return { vectors: poolTokens(embeddings, lengths, pooling), dimensions: third, pooling };
  }

  #expected(rows: number): string {
    return this.inputs.modality === "text"
      ? `[${rows}, dimensions] or [${rows}, tokens, dimensions]`
      : `[${rows}, dimensions], [${rows}, patches, dimensions] or [${rows}, dimensions, height, width]`;
  }

  #invalid(what: string): AttuneError {
    const { modelPath, modality } = this.description;
    return new AttuneError("invalid_encoder", `${modelPath} is not a usable ${modality} encoder: ${what}.`);
  }
}

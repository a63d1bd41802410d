import { AttuneError } from "../../errors/index.js";
import type { ImagePixels } from "../../image/index.js";
import type { Tensor } from "../../runtime/index.js";
import type { EncoderInput } from "../encoder.js";
import type { ImageModelDescription } from "../model-description.js";
import { pixelsForModel } from "./fit-image.js";
import type { ModelInputs, PreparedImage, PreparedInput } from "./model-inputs.js";

const CHANNELS = 3;
/** The name of the input by the convention of Hugging Face's exporters. */
const USUAL_NAME = "pixel_values";

/** Images as normalised pixels, channel by channel. */
export class ImageInputs implements ModelInputs {
  readonly modality = "image";
  readonly equalLengths = false;
  readonly #name: string;

  /**
   * @param names The inputs that the model declares. @default ["pixel_values"]
   * @throws invalid_encoder when there is more than one
   */
  constructor(
    private readonly description: ImageModelDescription,
    names: readonly string[] = [USUAL_NAME],
  ) {
    const [name, ...more] = names;
    if (name === undefined || more.length > 0) {
      throw new AttuneError(
        "invalid_encoder",
        `${description.modelPath} is not a usable image encoder: it has the inputs ${names.join(", ")}; expected one alone, (n, 3, height, width).`,
      );
    }
    this.#name = name;
  }

  prepare(inputs: readonly EncoderInput[]): Promise<PreparedInput[]> {
    return Promise.all(inputs.map((input) => this.prepareOne(input)));
  }

  async prepareOne(input: EncoderInput): Promise<PreparedImage> {
    const { id, preprocessing, maxPixels } = this.description;
    if (typeof input === "string") {
      throw new AttuneError(
        "wrong_modality",
        `The encoder ${id} reads images, and has no model that puts texts into the same space. Send an image, or use a CLIP pair.`,
      );
    }
    return { kind: "pixels", pixels: await pixelsForModel(input, preprocessing, maxPixels) };
  }

  feeds(batch: readonly PreparedInput[]): Record<string, Tensor> {
    const { size, scale, mean, std } = this.description.preprocessing;
    const plane = size.width * size.height;
    const data = new Float32Array(batch.length * CHANNELS * plane);
    // A byte has 256 values: what each becomes is looked up.
    const tables = [0, 1, 2].map((channel) =>
      Float32Array.from({ length: 256 }, (_, byte) => (byte * scale - (mean[channel] ?? 0)) / (std[channel] ?? 1)),
    );
    for (const [index, prepared] of batch.entries()) {
      const { data: bytes } = this.#pixelsOf(prepared);
      for (const [channel, table] of tables.entries()) {
        const start = (index * CHANNELS + channel) * plane;
        for (let at = 0; at < plane; at++) data[start + at] = table[bytes[at * CHANNELS + channel] ?? 0] ?? 0;
      }
    }
    return { [this.#name]: { dtype: "float32", shape: [batch.length, CHANNELS, size.height, size.width], data } };
  }

  /** Two, so that a model with a fixed batch is found out. */
  probes(): PreparedImage[] {
    const { width, height } = this.description.preprocessing.size;
    return [64, 192].map((grey) => ({
      kind: "pixels",
      pixels: { width, height, data: new Uint8Array(width * height * CHANNELS).fill(grey) },
    }));
  }

  #pixelsOf(prepared: PreparedInput): ImagePixels {
    const { width, height } = this.description.preprocessing.size;
    if (prepared.kind !== "pixels") throw new AttuneError("internal", "A batch of images holds a text.");
    const { pixels } = prepared;
    if (pixels.width === width && pixels.height === height) return pixels;
    throw new AttuneError(
      "internal",
      `An image of ${pixels.width} x ${pixels.height} for a model of ${width} x ${height}.`,
    );
  }
}

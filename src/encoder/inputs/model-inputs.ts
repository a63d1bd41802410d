import type { ImagePixels } from "../../image/index.js";
import type { Tensor } from "../../runtime/index.js";
import type { EncoderInput } from "../encoder.js";
import type { Modality } from "../model-description.js";

/** An input as the model's batches are made of. */
export type PreparedInput = PreparedText | PreparedImage;

export interface PreparedText {
  kind: "tokens";
  /** At least one. */
  ids: readonly number[];
  /** Whether the text had more tokens than the model takes, and was cut. */
  truncated: boolean;
}

export interface PreparedImage {
  kind: "pixels";
  /** Of the model's size, not yet normalised. */
  pixels: ImagePixels;
}

/** Turns texts or images into what an ONNX model takes. */
export interface ModelInputs {
  readonly modality: Modality;
  /** True when a model has no padding mask: every text of a batch must have the same number of tokens. */
  readonly equalLengths: boolean;
  /**
   * Tokenizes texts; or decodes images and resizes them to the model's size.
   * @throws wrong_modality for an input of the other kind; invalid_image, image_too_large
   */
  prepare(inputs: readonly EncoderInput[]): Promise<PreparedInput[]>;
  /** The same for one input: a text at once, an image when other threads have decoded it. @throws as `prepare` */
  prepareOne(input: EncoderInput): PreparedInput | Promise<PreparedInput>;
  /** The model's inputs by name: padded token ids (n, tokens) and their masks, or normalised pixels (n, 3, height, width). */
  feeds(batch: readonly PreparedInput[]): Record<string, Tensor>;
  /** Inputs to try a model with, as different in shape as inputs can be. */
  probes(): PreparedInput[];
}

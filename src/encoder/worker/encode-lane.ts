import type { EncoderInput } from "../encoder.js";
import type { PreparedInput } from "../inputs/model-inputs.js";
import type { Modality } from "../model-description.js";
import type { Priority } from "./protocol.js";

export interface EncodeRequest {
  id: number;
  /** Each of a kind that there is a model for. */
  inputs: readonly EncoderInput[];
  priority: Priority;
}

/** A request on its way. */
export interface Pending extends EncodeRequest {
  vectors: Float32Array;
  /** Inputs before this one are prepared, or being prepared. */
  taken: number;
  remaining: number;
  truncated: number;
  tokens: number;
  /** Cancelled, failed, or refused: its inputs are skipped. */
  dropped: boolean;
}

/** One prepared input. */
export interface Item {
  request: Pending;
  row: number;
  prepared: PreparedInput;
  /** What it costs a run: tokens of a text; an image is one. */
  size: number;
}

/** Requests of one priority: inputs waiting, and those that are prepared. */
export interface Lane {
  waiting: Pending[];
  /** Tokenized texts, the longest first. */
  text: Item[];
  /** Decoded images, in the order they were. */
  image: Item[];
  /** How many of each are prepared ahead. */
  windows: Record<Modality, number>;
  /** Images being decoded. */
  decoding: number;
  /** Whether images wait for others that are being decoded, to make a run of the target time. */
  patient: boolean;
  /** What ran last: the other goes first, so that neither waits for ever. */
  last: Modality;
}

/** An empty lane that prepares so many texts and images ahead. */
export function openLane(texts: number, images: number, patient: boolean): Lane {
  const windows = { text: texts, image: images };
  return { waiting: [], text: [], image: [], windows, decoding: 0, patient, last: "image" };
}

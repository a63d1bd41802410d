/**
 * Universal Sentence Encoder Lite (Cer et al. 2018, arXiv:1803.11175): the shape of its transformer, read off the
 * TensorFlow.js graph that the weights are published with.
 */
export const VOCABULARY_SIZE = 8002;
/** The first pieces of the vocabulary are control tokens that no text may spell. */
export const RESERVED_PIECES = 6;
/** Tokens the reference looks at; the rest of a text is cut off. */
export const MAX_TOKENS = 128;
export const DIMENSIONS = 512;
export const EMBEDDING_DIMENSIONS = 256;
export const HEADS = 4;
/** Added to the variance in layer normalisation. */
export const LAYER_NORM_EPSILON = 1e-6;
/** Longest wavelength of the position signal (Vaswani et al. 2017). */
export const MAX_TIMESCALE = 10_000;

export interface LayerShape {
  /** Width of the layer's input; where it differs from DIMENSIONS the residual goes through a dense map. */
  input: number;
  feedForward: number;
}

export const LAYERS: readonly LayerShape[] = [
  { input: EMBEDDING_DIMENSIONS, feedForward: 1536 },
  { input: DIMENSIONS, feedForward: 1536 },
];

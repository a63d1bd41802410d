import type { Tensor } from "../../../src/runtime/index.js";

const int64 = (values: number[][]): Tensor => ({
  dtype: "int64",
  shape: [values.length, values[0]!.length],
  data: BigInt64Array.from(values.flat(), BigInt),
});

/** Ids of the tokens of the texts are below this. */
export const VOCABULARY = 11;

/** Two texts, of four and of two tokens. */
export const TEXTS = {
  input_ids: int64([
    [1, 5, 3, 10],
    [7, 5, 0, 0],
  ]),
  attention_mask: int64([
    [1, 1, 1, 1],
    [1, 1, 0, 0],
  ]),
};

/** Their shape as exporters declare it. */
export const TEXTS_SHAPE = ["batch_size", "sequence_length"];

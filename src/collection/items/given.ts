import type { ItemInput, Query, Vector } from "../../../schemas/index.js";

/** A vector as JSON holds it, or as float32 numbers. */
export type GivenVector = Vector | Float32Array;

export type GivenItem = Omit<ItemInput, "vector"> & { vector?: GivenVector };
export type GivenQuery = Omit<Query, "vector"> & { vector?: GivenVector };

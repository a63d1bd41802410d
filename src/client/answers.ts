import type * as schemas from "../../schemas/index.js";

/** Whether answers bring vectors: as arrays of numbers (`true`), or as Float32Array, which travel as base64 (much faster). */
export type VectorForm = boolean | "float32";

/** What the vectors of an answer are when they are asked for in this form. */
export type VectorOf<Form extends VectorForm> = Form extends "float32" ? Float32Array : number[];

type WithVectors<T, Vector> = Omit<T, "vector"> & { vector?: Vector };

export type Hit<Vector = number[]> = WithVectors<schemas.Hit, Vector>;
export type Item<Vector = number[]> = WithVectors<schemas.Item, Vector>;
export type ItemList<Vector = number[]> = Omit<schemas.ItemList, "items"> & { items: Item<Vector>[] };
export type QueryResult<Vector = number[]> = Omit<schemas.QueryResult, "results"> & { results: Hit<Vector>[] };
export type QueryBatchResult<Vector = number[]> = Omit<schemas.QueryBatchResult, "results"> & {
  results: Hit<Vector>[][];
};

/** The form in which the server is asked for vectors. */
export function askedForm(form: VectorForm | undefined): schemas.WithVector | undefined {
  return form === "float32" ? "base64" : form;
}

/** Hits or items as they came, with vectors that are base64 made into Float32Array in place. */
export function readVectors(entries: readonly { vector?: unknown }[]): void {
  for (const entry of entries) if (typeof entry.vector === "string") entry.vector = fromBase64(entry.vector);
}

function fromBase64(text: string): Float32Array {
  // Copied into memory of its own, which begins at a multiple of 4.
  return new Float32Array(new Uint8Array(Buffer.from(text, "base64")).buffer);
}

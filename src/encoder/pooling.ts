import type { Pooling } from "./encoder.js";

/** Token embeddings of a batch, padded on the right: `rows x tokens x dimensions` numbers. */
export interface TokenEmbeddings {
  data: Float32Array;
  tokens: number;
  dimensions: number;
}

/**
 * Pools token embeddings into one row a text; padding has no influence.
 * @param lengths Tokens of each row that are not padding (at least 1).
 * @returns `lengths.length x dimensions` numbers.
 */
export function poolTokens(
  embeddings: TokenEmbeddings,
  lengths: readonly number[],
  pooling: Exclude<Pooling, "model">,
): Float32Array {
  const { tokens, dimensions } = embeddings;
  const pooled = new Float32Array(lengths.length * dimensions);
  for (const [row, length] of lengths.entries()) {
    const start = row * tokens;
    const into = pooled.subarray(row * dimensions, (row + 1) * dimensions);
    if (pooling === "cls") copyToken(embeddings, start, into);
    else if (pooling === "last") copyToken(embeddings, start + length - 1, into);
    else if (pooling === "max") maxOfTokens(embeddings, start, length, into);
    else meanOfTokens(embeddings, start, length, into);
  }
  return pooled;
}

function copyToken({ data, dimensions }: TokenEmbeddings, token: number, into: Float32Array): void {
  into.set(data.subarray(token * dimensions, (token + 1) * dimensions));
}

function maxOfTokens({ data, dimensions }: TokenEmbeddings, start: number, length: number, into: Float32Array): void {
  into.fill(Number.NEGATIVE_INFINITY);
  for (let token = start; token < start + length; token++) {
    for (let at = 0; at < dimensions; at++) {
      into[at] = Math.max(into[at] ?? 0, data[token * dimensions + at] ?? 0);
    }
  }
}

function meanOfTokens({ data, dimensions }: TokenEmbeddings, start: number, length: number, into: Float32Array): void {
  for (let token = start; token < start + length; token++) {
    for (let at = 0; at < dimensions; at++) into[at] = (into[at] ?? 0) + (data[token * dimensions + at] ?? 0);
  }
  for (let at = 0; at < dimensions; at++) into[at] = (into[at] ?? 0) / length;
}

/** Scales each row to length 1, in place; a row of zeros stays as it is. */
export function normalizeRows(rows: Float32Array, dimensions: number): void {
  for (let start = 0; start < rows.length; start += dimensions) {
    const row = rows.subarray(start, start + dimensions);
    let squares = 0;
    for (const value of row) squares += value * value;
    if (squares === 0) continue;
    const scale = 1 / Math.sqrt(squares);
    for (let at = 0; at < dimensions; at++) row[at] = (row[at] ?? 0) * scale;
  }
}

/** The mean of each plane of `size` numbers: (n, channels, height, width) becomes (n, channels). */
export function meanOfPlanes(data: Float32Array, size: number): Float32Array {
  return Float32Array.from({ length: size > 0 ? data.length / size : 0 }, (_, plane) => {
    let sum = 0;
    for (let at = plane * size; at < (plane + 1) * size; at++) sum += data[at] ?? 0;
    return sum / size;
  });
}

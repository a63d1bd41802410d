import { AttuneError } from "../errors/index.js";
import type { HnswParameters } from "./hnsw-messages.js";
import type { SearchOptions } from "./vector-index.js";

/** @throws invalid_setting `m` is not 2 to 100, `shards` not 1 to 16, or a breadth is not a positive integer */
export function checkParameters({ m, efConstruction, efSearch, shards = 1 }: HnswParameters): void {
  checkInteger("m", m, 2, 100);
  checkInteger("efConstruction", efConstruction, 1, 100_000);
  checkInteger("efSearch", efSearch, 1, 100_000);
  checkInteger("shards", shards, 1, 16);
}

/**
 * @throws wrong_dimensions the queries are not count x dimensions numbers
 * @throws invalid_setting `k` or `efSearch` is out of range
 */
export function checkSearch(queries: Float32Array, count: number, dimensions: number, options: SearchOptions): void {
  if (queries.length !== count * dimensions) {
    throw new AttuneError(
      "wrong_dimensions",
      `the ${count} queries have ${queries.length} numbers, expected ${count} x ${dimensions} = ${count * dimensions}`,
    );
  }
  checkInteger("k", options.k, 0, Number.MAX_SAFE_INTEGER);
  if (options.efSearch !== undefined) checkInteger("efSearch", options.efSearch, 1, 100_000);
}

function checkInteger(name: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new AttuneError("invalid_setting", `${name} is ${value}; it is an integer of ${least} to ${most}`);
}

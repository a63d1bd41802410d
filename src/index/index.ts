export type { SearchHits } from "../vector/index.js";
export { Bitmap } from "./bitmap.js";
export { openExactIndex } from "./exact-index.js";
export type { HnswIndexOptions } from "./hnsw-index.js";
export type { CarriedIndex, HnswParameters } from "./hnsw-messages.js";
export { openHnswIndex } from "./open-hnsw-index.js";
export { PayloadIndex } from "./payload-index.js";
export { ReplaceableIndex } from "./replaceable-index.js";
export type {
  IndexOptions,
  IndexProgress,
  IndexStatus,
  LiveRows,
  RebuildResult,
  RowSource,
  SearchOptions,
  VectorIndex,
} from "./vector-index.js";

/** Bounds on what one request may ask for; each is configurable and each has its own error. */
export interface Limits {
  /** Bytes of a request's body. @default 32 MiB */
  bodyBytes: number;
  /** Items of one upsert, ids of one get or delete. @default 10,000 */
  itemsPerBatch: number;
  /** Queries of one batch. @default 1,000 */
  queriesPerBatch: number;
  /** Results of one query. @default 10,000 */
  k: number;
  /** Dimensions of a `vector` collection. @default 16,384 */
  dimensions: number;
  /** Bytes of one item's payload as JSON. @default 64 KiB */
  payloadBytes: number;
  /** Pixels of one image, width times height. @default 25,000,000 */
  imagePixels: number;
  /** Levels of nested filters. @default 8 */
  filterDepth: number;
}

export const DEFAULT_LIMITS: Readonly<Limits> = {
  bodyBytes: 32 * 1024 * 1024,
  itemsPerBatch: 10_000,
  queriesPerBatch: 1_000,
  k: 10_000,
  dimensions: 16_384,
  payloadBytes: 64 * 1024,
  imagePixels: 25_000_000,
  filterDepth: 8,
};

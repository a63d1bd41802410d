import type { CollectionClient, ItemToSend } from "../../src/client/index.js";
import { waitForIndex } from "../support/corpus.js";

export interface InsertTimes {
  /** Until the last item was acknowledged. */
  acknowledgedMs: number;
  /** Until the graph held them all. */
  indexedMs: number;
}

/** Inserts items in batches, so many requests at the same time. */
export async function insertWith(
  collection: CollectionClient,
  items: readonly ItemToSend[],
  batch: number,
  clients: number,
): Promise<InsertTimes> {
  const started = performance.now();
  let next = 0;
  const client = async () => {
    while (next < items.length) {
      const start = next;
      next += batch;
      await collection.upsert(items.slice(start, start + batch));
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  const acknowledgedMs = performance.now() - started;
  await waitForIndex(collection);
  return { acknowledgedMs, indexedMs: performance.now() - started };
}

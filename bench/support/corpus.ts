import { setTimeout as sleep } from "node:timers/promises";
import type { AttuneClient, CollectionClient, ItemToSend } from "../../src/client/index.js";
import type { IntentText } from "./intent-data.js";

/** The id of the i-th text of the corpus. */
export const corpusId = (i: number) => `t${i}`;

/** The corpus as items: the intent is in the payload. */
export function corpusItems(texts: readonly IntentText[]): ItemToSend[] {
  return texts.map(({ text, intent }, i) => ({ id: corpusId(i), text, payload: { intent } }));
}

/** Inserts items in batches and waits until the index holds them all. */
export async function insertAll(
  collection: CollectionClient,
  items: readonly ItemToSend[],
  batch = 500,
): Promise<{ acknowledgedMs: number; indexedMs: number }> {
  const started = performance.now();
  for (let i = 0; i < items.length; i += batch)
    await collection.upsert(items.slice(i, i + batch), { timeoutMs: 600_000 });
  const acknowledgedMs = performance.now() - started;
  await waitForIndex(collection);
  return { acknowledgedMs, indexedMs: performance.now() - started };
}

/** Waits until no acknowledged item is outside the graph. */
export async function waitForIndex(collection: CollectionClient): Promise<void> {
  while ((await collection.info()).status.index.lag > 0) await sleep(20);
}

/** Waits until no graph is left whose links are those of the generation before. @returns milliseconds */
export async function waitForRebuild(collection: CollectionClient): Promise<number> {
  const started = performance.now();
  while ((await collection.info()).status.index.provisional) await sleep(50);
  return performance.now() - started;
}

/** The encoder's vectors of texts, before any head. */
export async function embedAll(client: AttuneClient, model: string, texts: readonly string[]): Promise<Float32Array[]> {
  const vectors: Float32Array[] = [];
  for (let i = 0; i < texts.length; i += 250) {
    const request = { model, input: texts.slice(i, i + 250), encoding_format: "base64" as const };
    const { data } = await client.embed(request, { timeoutMs: 600_000 });
    for (const { embedding } of data) vectors.push(readFloats(embedding));
  }
  return vectors;
}

function readFloats(embedding: string | number[]): Float32Array {
  if (typeof embedding !== "string") return Float32Array.from(embedding);
  const bytes = Buffer.from(embedding, "base64");
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

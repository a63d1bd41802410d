import { type HnswIndexOptions, type IndexProgress, openHnswIndex, type VectorIndex } from "../../index/index.js";

export interface BuildOptions {
  /** Of the thread that builds. */
  niceness: number;
  signal: AbortSignal;
  onProgress?: IndexProgress;
}

/**
 * Builds an index in a thread of lower priority, saves it and closes it; whoever serves opens what was saved in a thread of ordinary priority
 * (a thread cannot take a lower one back). So there are never more than two graphs in memory, the one that serves and this one.
 * @throws the signal's reason
 */
export async function buildIndex(
  options: HnswIndexOptions,
  { niceness, signal, onProgress }: BuildOptions,
): Promise<void> {
  const index = await openHnswIndex({ ...options, niceness });
  try {
    await drainUnless(signal, index, onProgress);
    await index.snapshot(options.lastSequence ?? 0);
    signal.throwIfAborted();
  } finally {
    await index.close();
  }
}

/** Resolves when the lag is 0. @throws the signal's reason as soon as it aborts */
export function drainUnless(signal: AbortSignal, index: VectorIndex, onProgress?: IndexProgress): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    index
      .drain(onProgress)
      .then(resolve, reject)
      .finally(() => signal.removeEventListener("abort", abort));
  });
}

import { join } from "node:path";
import { checkParameters } from "./checks.js";
import { DEFAULT_MAX_PENDING, type HnswIndexOptions, openHnswThread } from "./hnsw-index.js";
import { ShardedIndex, shardOf } from "./sharded-index.js";
import type { VectorIndex } from "./vector-index.js";

/**
 * Opens an HNSW index in a worker thread, or in one for each shard. It answers rightly at once: rows that are not in the
 * snapshot's graph yet are found by comparison until they are built in, in slices between queries.
 *
 * @throws invalid_setting impossible parameters
 * @throws internal the row file cannot be read, or holds fewer rows than are live
 */
export async function openHnswIndex(options: HnswIndexOptions): Promise<VectorIndex> {
  checkParameters(options.parameters);
  const { shards = 1 } = options.parameters;
  if (shards === 1) return openHnswThread(options);
  const opening = Array.from({ length: shards }, (_, shard) => openHnswThread(shardOptions(options, shard, shards)));
  try {
    return new ShardedIndex(await Promise.all(opening), options);
  } catch (error) {
    for (const opened of await Promise.allSettled(opening)) {
      if (opened.status === "fulfilled") await opened.value.close();
    }
    throw error;
  }
}

/**
 * What one shard is opened with: its labels, its part of the rows that may wait, and snapshots in a folder of its own, under a name that
 * says which part of how many it is, so that none is taken for a part of another division.
 */
function shardOptions(options: HnswIndexOptions, shard: number, shards: number): HnswIndexOptions {
  const { live, snapshotDirectory, identity = "", maxPending = DEFAULT_MAX_PENDING, carry } = options;
  const has = (label: number) => shardOf(label, shards) === shard;
  const folder = (directory: string) => join(directory, `shard-${shard}`);
  const name = (whole: string) => `${whole}/${shard} of ${shards}`;
  return {
    ...options,
    live: {
      labels: live.labels.filter(has),
      sequences: live.sequences.filter((_, i) => has(live.labels[i] as number)),
    },
    maxPending: Math.ceil(maxPending / shards),
    snapshotDirectory: snapshotDirectory && folder(snapshotDirectory),
    identity: name(identity),
    carry: carry && {
      ...carry,
      snapshotDirectory: folder(carry.snapshotDirectory),
      identity: name(carry.identity),
    },
    onCompacted: undefined,
    // Each shard is there for a core of its own.
    searchHere: false,
  };
}

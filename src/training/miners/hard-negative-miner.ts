import { metricOf } from "../../vector/metric.js";
import type { Random } from "../../vector/random.js";
import { TopK } from "../../vector/top-k.js";
import type { Engine } from "../engines/engine.js";
import type { FeedbackGraph } from "../feedback/feedback-graph.js";
import type { TrainingLine } from "../feedback/training-lines.js";
import { type ClosenessBlock, closenessOf, scanCloseness } from "../gate/closeness-scan.js";
import { identityWeights } from "../head/head.js";
import type { BaseRows } from "../rows/base-rows.js";
import type { NegativeMiner } from "./negative-miner.js";

/** Candidates kept for each anchor and positive; some fall away later, when they turn out to be tied to the anchor. */
const CANDIDATES = 32;
/** A candidate must be less similar than this share of the positive's similarity: nearer ones are too often positives nobody named. */
const SIMILARITY_SHARE = 0.95;
/** Anchors scanned at once bound the memory: 2,048 anchors x 1,024 rows are 8 MiB. */
const ANCHORS_AT_ONCE = 2_048;

/** Each anchor costs a scan of the collection; where there are more, every so many of them is mined for, and the others get
 * their negatives from their batch alone. */
const MAXIMUM_ANCHORS = 4_096;

/** How many of the hardest candidates a line draws its negative from. */
const CHOICES = 4;

/** Candidates by anchor and positive, as another thread can be given them. */
export type MinedEntries = readonly (readonly [pair: string, candidates: readonly number[]])[];

/** Hard negatives by anchor and positive. */
export class MinedNegatives implements NegativeMiner {
  readonly #candidates: Map<string, readonly number[]>;

  constructor(entries: MinedEntries = []) {
    this.#candidates = new Map(entries);
  }

  entries(): MinedEntries {
    return [...this.#candidates];
  }

  /** Items near the anchor in the untuned embedding, nearest first, whoever they are; empty where none was mined. */
  of(anchor: number, positive: number): readonly number[] {
    return this.#candidates.get(`${anchor},${positive}`) ?? [];
  }

  set(anchor: number, positive: number, candidates: readonly number[]): void {
    this.#candidates.set(`${anchor},${positive}`, candidates);
  }

  /** One of the hardest candidates that are not known to be similar; of those with another label, where there are any. */
  negative(graph: FeedbackGraph, { anchor }: TrainingLine, positive: number, random: Random): number {
    const candidates = this.of(anchor, positive);
    // Marked by label comes before unmarked, as any mark does.
    const otherLabel = candidates.filter((item) => graph.isOtherLabel(anchor, item));
    const pool = otherLabel.length > 0 ? otherLabel : candidates.filter((item) => !graph.isKnownSimilar(anchor, item));
    const hardest = pool.slice(0, CHOICES);
    return hardest[random.integer(Math.max(1, hardest.length))] ?? -1;
  }
}

interface Search {
  anchor: number;
  positive: number;
  row: number;
  limit: number;
  nearest: TopK;
}

/**
 * Looks in the untuned embedding for the nearest items of each anchor that nobody marked, skipping any whose similarity is
 * within 5% of the positive's or above it. Whether feedback ties a candidate to the anchor is left to the sampler,
 * which knows what is held out.
 * @see Moreira et al., "NV-Retriever", 2024, positive-aware mining (TopK-PercPos)
 */
export async function mineHardNegatives(
  engine: Engine,
  base: BaseRows,
  lines: readonly TrainingLine[],
  pause: () => Promise<void>,
): Promise<MinedNegatives> {
  const positivesOf = new Map<number, Set<number>>();
  for (const line of lines) {
    if (line.alone || line.marked.length > 0) continue;
    const known = positivesOf.get(line.anchor) ?? new Set<number>();
    for (const positive of line.positives) known.add(positive);
    positivesOf.set(line.anchor, known);
  }
  const mined = new MinedNegatives();
  const all = [...positivesOf.keys()];
  const stride = Math.ceil(all.length / MAXIMUM_ANCHORS);
  const anchors = all.filter((_, i) => i % stride === 0);
  for (let from = 0; from < anchors.length; from += ANCHORS_AT_ONCE) {
    const part = anchors.slice(from, from + ANCHORS_AT_ONCE);
    await minePart(engine, base, part, positivesOf, mined, pause);
  }
  return mined;
}

async function minePart(
  engine: Engine,
  base: BaseRows,
  anchors: readonly number[],
  positivesOf: ReadonlyMap<number, ReadonlySet<number>>,
  mined: MinedNegatives,
  pause: () => Promise<void>,
): Promise<void> {
  const identity = identityWeights(engine.dimensions);
  const queries = await engine.embed(base.gather(anchors), identity);
  const pairs = anchors.flatMap((anchor, row) =>
    [...(positivesOf.get(anchor) ?? [])].map((positive) => ({ anchor, positive, row })),
  );
  const embedded = await engine.embed(base.gather(pairs.map((pair) => pair.positive)), identity);
  const searches = pairs.map((pair, p): Search => {
    const limit = closenessLimit(engine, base, queries, pair.row, embedded, p);
    return { ...pair, limit, nearest: new TopK(CANDIDATES) };
  });
  const visit = (block: ClosenessBlock) => {
    for (const search of searches) collect(search, block);
  };
  await scanCloseness(engine, base, identity, queries, visit, pause);
  for (const { anchor, positive, nearest } of searches) mined.set(anchor, positive, [...nearest.sorted().labels]);
}

function collect({ row, limit, nearest }: Search, block: ClosenessBlock): void {
  const offset = row * block.count;
  for (let i = 0; i < block.count; i++) {
    const closeness = block.closeness[offset + i] as number;
    if (closeness < limit && -closeness <= nearest.bound) nearest.push(block.start + i, -closeness);
  }
}

/** The closeness that a negative must stay under, so that its similarity is less than 95% of the positive's. */
function closenessLimit(
  engine: Engine,
  base: BaseRows,
  queries: Float32Array,
  row: number,
  positives: Float32Array,
  positive: number,
): number {
  const closeness = closenessOf(engine, queries, row, positives, positive);
  // 95% of a negative similarity would be nearer than the positive itself.
  if (engine.metric === "cosine") return closeness - (1 - SIMILARITY_SHARE) * Math.abs(closeness);
  const d = engine.dimensions;
  const space = metricOf("euclidean");
  const distance = space.distanceAt(queries, row * d, positives, positive * d, d) * base.scale;
  const farthest = (1 / (space.score(distance) * SIMILARITY_SHARE) - 1) / base.scale;
  const squaredNorm = 2 * closenessOf(engine, queries, row, queries, row);
  return (squaredNorm - farthest * farthest) / 2;
}

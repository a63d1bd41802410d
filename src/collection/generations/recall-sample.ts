import type { VectorFile } from "../../../storage/index.js";
import type { SearchHits, VectorIndex } from "../../index/index.js";
import { openWorkerSession, type Tensor, type WorkerSession } from "../../runtime/index.js";
import { closenessModel } from "../../training/index.js";
import { freeArray, metricOf, Random, TopK } from "../../vector/index.js";
import type { ContentRules } from "../items/item-content.js";

/** Items that are asked for; the standard error of a recall of .98 is then some .003. */
const SAMPLE = 200;
const K = 10;
/** Items asked for at once. */
const AT_ONCE = 20;
/** Rows compared at once: 1,024 x 512 float32 are 2 MiB, and what this thread does with them takes a millisecond or two. */
const BLOCK = 1024;
/** Distances in float32 and float64 differ by less than this (relative, and absolute near 0). */
const ROUNDING = 1e-5;

export interface DrawOptions {
  /** Of the products. */
  threads: number;
  /** Of these threads. @default 0 */
  niceness?: number;
  signal: AbortSignal;
}

/** Where the vectors of some labels are. */
export interface SampledRows {
  rows: VectorFile;
  labels: Uint32Array;
  rules: Pick<ContentRules, "dimensions" | "metric">;
}

/**
 * Some items and how far their ten nearest reach, by comparison with every row: what an index's recall is measured by. What is in a graph is
 * easier to find in it than what is not, so the figure is a little better than that of queries: it is for comparing one graph with another.
 */
export class RecallSample {
  private constructor(
    private readonly queries: Float32Array,
    private readonly labels: Uint32Array,
    /** Distance of the farthest of the nearest of each query, and how many these are. */
    private readonly bounds: { distance: number; count: number }[],
  ) {}

  /** Draws the same items from the same labels. Reads every row once; products are computed by ONNX Runtime in a thread of its own. */
  static async draw(source: SampledRows, options: DrawOptions): Promise<RecallSample> {
    const { rows, labels, rules } = source;
    const { dimensions } = rules;
    const space = metricOf(rules.metric);
    const random = new Random(labels.length);
    const count = Math.min(SAMPLE, labels.length);
    const sample = Uint32Array.from({ length: count }, (_, i) => {
      const position = Math.floor(((i + random.uniform()) * labels.length) / count);
      return labels[position] ?? 0;
    });
    const queries = await rows.read(sample);
    space.preprocess(queries, dimensions);
    const nearest = await nearestOf(queries, source, options);
    // Each item finds itself; that is no merit of an index.
    const others = nearest.map((found, i) => found.filter((label) => label !== sample[i]).slice(0, K));
    const farthest = await rows.read(others.map((found, i) => found.at(-1) ?? sample[i] ?? 0));
    space.preprocess(farthest, dimensions);
    const bounds = others.map((found, i) => ({
      distance: space.distanceAt(queries, i * dimensions, farthest, i * dimensions, dimensions),
      count: found.length,
    }));
    return new RecallSample(queries, sample, bounds);
  }

  /** Mean share of the ten nearest that `index` finds, 0 to 1; what is as far as the farthest of them counts as one of them. */
  recallIn(index: VectorIndex, efSearch: number): Promise<number> {
    return this.widening(index)(efSearch);
  }

  /**
   * `recallIn` for searches of one graph that become wider from call to call. What has found all its nearest is not asked again: a walk
   * comes past everything that a narrower one of the same graph came past (both go on with the nearest node they know, one just stops earlier).
   */
  widening(index: VectorIndex): (efSearch: number) => Promise<number> {
    const missed: number[] = this.bounds.map(({ count }) => (count > 0 ? 1 : 0));
    const measured = missed.filter(Boolean).length;
    return async (efSearch) => {
      const open = [...missed.keys()].filter((i) => missed[i] !== 0);
      for (let first = 0; first < open.length; first += AT_ONCE) {
        const some = open.slice(first, first + AT_ONCE);
        const found = await index.search(this.#queriesOf(some), some.length, { k: K + 1, efSearch });
        for (const [i, hits] of found.entries()) {
          const query = some[i] ?? 0;
          missed[query] = this.#shareMissed(query, hits);
        }
      }
      return measured === 0 ? 1 : 1 - missed.reduce((sum, share) => sum + share, 0) / measured;
    };
  }

  #queriesOf(positions: readonly number[]): Float32Array {
    const d = this.queries.length / this.labels.length;
    const queries = new Float32Array(positions.length * d);
    for (const [i, position] of positions.entries()) {
      queries.set(this.queries.subarray(position * d, (position + 1) * d), i * d);
    }
    return queries;
  }

  /** Of the nearest of one query, the share that is not among some hits. */
  #shareMissed(query: number, { labels, distances }: SearchHits): number {
    const { distance, count } = this.bounds[query] ?? { distance: 0, count: 0 };
    if (count === 0) return 0;
    const limit = distance * (1 + ROUNDING) + ROUNDING;
    const isNear = (label: number, place: number) =>
      label !== this.labels[query] && (distances[place] ?? Number.POSITIVE_INFINITY) <= limit;
    return 1 - Math.min(labels.filter(isNear).length, count) / count;
  }
}

/** Labels of the nearest rows of each query (itself among them), nearest first. */
async function nearestOf(
  queries: Float32Array,
  { rows, labels, rules }: SampledRows,
  { signal, ...threads }: DrawOptions,
): Promise<number[][]> {
  const { dimensions, metric } = rules;
  const tops = Array.from({ length: queries.length / dimensions }, () => new TopK(K + 1));
  const session = await openWorkerSession(closenessModel(dimensions, metric, false), { provider: "cpu", ...threads });
  try {
    const blockAt = (first: number) => labels.subarray(first, first + BLOCK);
    let ahead = rows.read(blockAt(0));
    for (let first = 0; first < labels.length; first += BLOCK) {
      signal.throwIfAborted();
      const block = blockAt(first);
      const multiplied = closenessOf(session, queries, await ahead, dimensions);
      ahead = rows.read(blockAt(first + BLOCK));
      const closeness = await multiplied.catch(async (error: unknown) => {
        await ahead.catch(() => {});
        throw error;
      });
      tops.forEach((top, q) => {
        let { bound } = top;
        for (let i = 0; i < block.length; i++) {
          const distance = -(closeness[q * block.length + i] as number);
          if (!(distance <= bound)) continue;
          top.push(block[i] as number, distance);
          bound = top.bound;
        }
      });
      freeArray(closeness);
    }
    await ahead;
  } finally {
    await session.close();
  }
  return tops.map((top) => [...top.sorted().labels]);
}

async function closenessOf(
  session: WorkerSession,
  queries: Float32Array,
  base: Float32Array,
  dimensions: number,
): Promise<Float32Array> {
  const tensor = (data: Float32Array): Tensor => ({
    dtype: "float32",
    shape: [data.length / dimensions, dimensions],
    data: data as Float32Array<ArrayBuffer>,
  });
  // Handed over, not copied; of the queries, which are needed again, a copy.
  const feeds = { queries: tensor(queries.slice()), base: tensor(base) };
  const { closeness } = await session.run(feeds, { transfer: true });
  if (!(closeness?.data instanceof Float32Array)) throw new Error("the session gave no float32 output closeness");
  return closeness.data;
}

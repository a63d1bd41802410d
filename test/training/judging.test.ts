import assert from "node:assert/strict";
import { test } from "node:test";
import { Engine } from "../../src/training/engines/engine.js";
import { FeedbackGraph } from "../../src/training/feedback/feedback-graph.js";
import { driftOf, gains, Judge, metricsOf, wholeCollection } from "../../src/training/gate/judge.js";
import type { Judgement } from "../../src/training/gate/judgement.js";
import { identityWeights } from "../../src/training/head/head.js";
import { mineHardNegatives } from "../../src/training/miners/hard-negative-miner.js";
import { BaseRows } from "../../src/training/rows/base-rows.js";
import { MemoryRows, RowsAt } from "../../src/training/rows/row-files.js";
import type { Metric } from "../../src/vector/metric.js";
import { Random } from "../../src/vector/random.js";
import { seedOf } from "../support/seed.js";
import { NO_FEEDBACK } from "./support.js";

const [ITEMS, EXTRA, D] = [1_500, 5, 8];
const noPause = async () => {};

function randomRows(random: Random, count: number): Float32Array {
  // Far from the origin, as raw vectors may be: Euclidean ranks must not suffer.
  return Float32Array.from({ length: count * D }, () => 3 + random.normal());
}

function naiveDistance(metric: Metric, a: number[], b: number[]): number {
  const dot = (x: number[], y: number[]) => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
  if (metric === "cosine") return 1 - dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  return Math.sqrt(a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0));
}

/** Rows through a head, by loops. */
function naiveHead(rows: Float32Array, weights: Float32Array): number[][] {
  return Array.from({ length: rows.length / D }, (_, n) =>
    Array.from({ length: D }, (_, j) => {
      let sum = 0;
      for (let i = 0; i < D; i++) sum += rows[n * D + i]! * weights[i * D + j]!;
      return sum;
    }),
  );
}

for (const metric of ["cosine", "euclidean"] as const) {
  test(`ranks, neighbours and triplets under ${metric} agree with brute force`, async () => {
    const random = new Random(seedOf(`ranks ${metric}`, 109));
    const rows = randomRows(random, ITEMS + EXTRA);
    rows.copyWithin(11 * D, 12 * D, 13 * D); // Items 11 and 12 are the same vector: a tie.
    const items = new MemoryRows(rows.slice(0, ITEMS * D), D);
    const base = new BaseRows(items, new MemoryRows(rows.slice(ITEMS * D), D), D, metric, random);
    const weights = identityWeights(D).map((weight) => weight + 0.3 * random.normal());
    const pairs: [number, number, "similar"][] = [
      [5, 12, "similar"],
      [12, 700, "similar"],
      [ITEMS + 1, 30, "similar"],
      [40, ITEMS + 2, "similar"],
    ];
    const graph = new FeedbackGraph({ ...NO_FEEDBACK, pairs });
    const judgements: Judgement[] = [
      { anchor: 5, targets: [12, 700] },
      { anchor: ITEMS + 1, targets: [30] },
      { anchor: 40, targets: [ITEMS + 2] },
      { anchor: 900, targets: [901] },
    ];
    const engine = await Engine.open({ dimensions: D, metric, provider: "cpu", threads: 1 });
    const judge = new Judge(engine, base, graph, noPause);
    const triplets = [[5, 12, 33] as const, [7, 8, 9] as const];
    const look = await judge.look(weights, wholeCollection(base), { judgements, untouched: [100, 1_400], triplets });
    await engine.close();

    const embedded = naiveHead(rows, weights);
    const distance = (a: number, b: number) => naiveDistance(metric, embedded[a]!, embedded[b]!);
    judgements.forEach(({ anchor, targets }, j) => {
      const known = graph.members(graph.componentOf(anchor));
      targets.forEach((target, t) => {
        let rank = 1;
        for (let item = 0; item < ITEMS; item++) {
          if (item === anchor || item === target || known.includes(item)) continue;
          const gap = distance(anchor, target) - distance(anchor, item);
          rank += Math.abs(gap) < 1e-9 ? 0.5 : gap > 0 ? 1 : 0;
        }
        const found = look.ranks[j]![t]!;
        // Two distances within float32's precision may change places.
        assert.ok(Math.abs(found - rank) <= 1, `${anchor} to ${target}: rank ${found}, expected ${rank}`);
      });
    });
    [100, 1_400].forEach((item, i) => {
      const others = Array.from({ length: ITEMS }, (_, other) => other).filter((other) => other !== item);
      others.sort((a, b) => distance(item, a) - distance(item, b));
      assert.deepEqual([...look.neighbours[i]!].sort(), others.slice(0, 10).sort());
    });
    look.triplets.forEach(({ positive, negative }, i) => {
      const [a, p, n] = triplets[i]!;
      assert.equal(positive < negative, distance(a, p) < distance(a, n));
    });
  });

  test(`many targets and triplets, ranked among some of the items, under ${metric}`, async () => {
    const random = new Random(seedOf(`many ranks ${metric}`, 111));
    const rows = randomRows(random, ITEMS);
    const base = new BaseRows(new MemoryRows(rows, D), new MemoryRows(new Float32Array(0), D), D, metric, random);
    const any = (count: number) => Array.from({ length: count }, () => random.integer(ITEMS));
    // More of both than go through the runtime at once.
    const judgements = any(180).map((anchor): Judgement => ({ anchor, targets: any(8) }));
    const triplets = Array.from({ length: 500 }, () => any(3) as unknown as readonly [number, number, number]);
    const positions = Uint32Array.from({ length: ITEMS }, (_, item) => item).filter(() => random.uniform() < 0.3);
    const places = new Map(Array.from(positions, (item, place) => [item, place]));
    const field = { rows: new RowsAt(base, positions), positionOf: (item: number) => places.get(item) ?? -1 };
    const engine = await Engine.open({ dimensions: D, metric, provider: "cpu", threads: 1 });
    const judge = new Judge(engine, base, new FeedbackGraph(NO_FEEDBACK), noPause);
    const look = await judge.look(identityWeights(D), field, { judgements, triplets });
    await engine.close();

    const embedded = naiveHead(rows, identityWeights(D));
    const distance = (a: number, b: number) => naiveDistance(metric, embedded[a]!, embedded[b]!);
    judgements.forEach(({ anchor, targets }, j) => {
      targets.forEach((target, t) => {
        const others = [...positions].filter((item) => item !== anchor && item !== target);
        const rank = 1 + others.filter((item) => distance(anchor, item) < distance(anchor, target)).length;
        const found = look.ranks[j]![t]!;
        assert.ok(Math.abs(found - rank) <= 1, `${anchor} to ${target}: rank ${found}, expected ${rank}`);
      });
    });
    assert.equal(look.triplets.length, triplets.length);
    const agreeing = look.triplets.filter(({ positive, negative }, i) => {
      const [a, p, n] = triplets[i]!;
      return positive < negative === distance(a, p) < distance(a, n);
    });
    assert.ok(agreeing.length >= triplets.length - 1, `${agreeing.length} of ${triplets.length} triplets in order`);
  });

  test(`mined negatives under ${metric} are the nearest below 95% of the positive's similarity`, async () => {
    const random = new Random(seedOf(`miner ${metric}`, 110));
    const rows = randomRows(random, 300);
    const base = new BaseRows(new MemoryRows(rows, D), new MemoryRows(new Float32Array(0), D), D, metric, random);
    const engine = await Engine.open({ dimensions: D, metric, provider: "cpu", threads: 1 });
    const lines = Array.from({ length: 20 }, (_, i) => ({
      anchor: i,
      positives: [100 + i, 200 + i],
      marked: i === 19 ? [5] : [],
      alone: false,
    }));
    const mined = await mineHardNegatives(engine, base, lines, noPause);
    await engine.close();
    const embedded = naiveHead(rows, identityWeights(D));
    const similarity = (a: number, b: number) => {
      const distance = naiveDistance(metric, embedded[a]!, embedded[b]!);
      return metric === "cosine" ? 1 - distance : 1 / (1 + distance);
    };
    for (const { anchor, positives, marked } of lines) {
      for (const positive of positives) {
        const limit = similarity(anchor, positive) - 0.05 * Math.abs(similarity(anchor, positive));
        const found = mined.of(anchor, positive).map((item) => similarity(anchor, item));
        if (marked.length > 0) {
          assert.deepEqual(found, []);
          continue;
        }
        // Compared by similarity: items within float32's precision of each other, or of the limit, may change places.
        const between = (from: number, to: number) =>
          Array.from({ length: 300 }, (_, item) => similarity(anchor, item)).filter((s) => s > from && s < to).length;
        const farthest = Math.min(...found);
        assert.ok(found.every((s, i) => s < limit + 1e-6 && s <= (found[i - 1] ?? 1) + 1e-6));
        assert.ok(between(farthest + 1e-6, limit - 1e-6) <= found.length, "none nearer was left out");
        assert.ok(found.length <= 32);
        assert.ok(found.length === 32 || between(-1, limit - 1e-6) <= found.length);
      }
    }
  });
}

test("an embedding that maps everything to one point ranks positives in the middle, not first", async () => {
  const random = new Random(111);
  const base = new BaseRows(
    new MemoryRows(randomRows(random, 201), D),
    new MemoryRows(new Float32Array(0), D),
    D,
    "cosine",
    random,
  );
  const graph = new FeedbackGraph({ ...NO_FEEDBACK, pairs: [[0, 1, "similar"]] });
  const engine = await Engine.open({ dimensions: D, metric: "cosine", provider: "cpu", threads: 1 });
  const judge = new Judge(engine, base, graph, noPause);
  const field = wholeCollection(base);
  const collapsed = new Float32Array(D * D).fill(1);
  const broken = new Float32Array(D * D).fill(Number.NaN);
  const judgements = [{ anchor: 0, targets: [1] }];
  assert.deepEqual((await judge.look(collapsed, field, { judgements })).ranks, [[1 + 199 / 2]]);
  assert.deepEqual((await judge.look(broken, field, { judgements })).ranks, [[200]]);
  await engine.close();
});

test("gains are positive when positives come closer, and when marked items go away", () => {
  assert.deepEqual(gains([[10], [4, 1]], [[1], [2, 2]], "similar"), [Math.log(10), 0]);
  assert.deepEqual(
    gains([[10]], [[100]], "dissimilar"),
    [Math.log(10) - Math.log(100)].map((gain) => -gain),
  );
});

test("figures over anchors and the drift of neighbours, by hand", () => {
  const metrics = metricsOf([[1, 50], [4], [11]], [{ positive: 1, negative: 2 }]);
  assert.ok(Math.abs(metrics.logRank - (Math.log(50) / 2 + Math.log(4) + Math.log(11)) / 3) < 1e-12);
  assert.equal(metrics.recallAt1, 1 / 3);
  assert.equal(metrics.recallAt10, 2 / 3);
  assert.ok(Math.abs(metrics.mrrAt10 - (1 + 1 / 4) / 3) < 1e-12);
  assert.equal(metrics.tripletAccuracy, 1);
  assert.equal(
    driftOf([Uint32Array.of(1, 2), Uint32Array.of(3, 4)], [Uint32Array.of(2, 9), Uint32Array.of(4, 3)]),
    0.25,
  );
  assert.equal(driftOf([], []), 0);
});

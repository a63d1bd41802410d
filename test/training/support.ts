import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { FineTuneTask, NumberedFeedback } from "../../src/training/index.js";
import { Random } from "../../src/vector/random.js";
import { learnable } from "../support/learnable.js";

export const NO_FEEDBACK: NumberedFeedback = { pairs: [], triplets: [], labels: [] };

/** Items whose class can be learnt, and how to write a task about them. */
export class World {
  readonly random: Random;
  readonly dimensions = 16;
  readonly classes: number[];
  readonly rows: Float32Array;

  constructor(seed: number, items = 400) {
    this.random = new Random(seed);
    const data = learnable(this.random, items, { classes: 20, dimensions: this.dimensions, signal: 6 });
    this.classes = data.classes;
    this.rows = Float32Array.from(data.vectors.flat());
  }

  /** An item that fits, at random. */
  pick(fits: (item: number) => boolean): number {
    for (;;) {
      const item = this.random.integer(this.classes.length);
      if (fits(item)) return item;
    }
  }

  /** True triplets of different anchors; with `shuffled` the positives are permuted among the anchors. */
  triplets(count: number, shuffled = false): [number, number, number][] {
    const anchors = this.random.shuffle(this.classes.map((_, item) => item)).slice(0, count);
    const positives = anchors.map((anchor) =>
      this.pick((item) => item !== anchor && this.classes[item] === this.classes[anchor]),
    );
    if (shuffled) this.random.shuffle(positives);
    return anchors.map((anchor, i) => {
      const positive = positives[i] === anchor ? this.pick((item) => item !== anchor) : (positives[i] ?? 0);
      const negative = this.pick(
        (item) => item !== anchor && item !== positive && this.classes[item] !== this.classes[anchor],
      );
      return [anchor, positive, negative];
    });
  }

  /** Writes the files of a task into a directory. Labels are the even numbers, so that rows and positions differ. */
  task(directory: string, feedback: Partial<NumberedFeedback>, changes: Partial<FineTuneTask> = {}): FineTuneTask {
    const d = this.dimensions;
    const count = this.classes.length;
    const labels = Uint32Array.from({ length: count }, (_, i) => 2 * i);
    const file = new Float32Array(2 * count * d).fill(Number.NaN);
    for (let i = 0; i < count; i++) file.set(this.rows.subarray(i * d, (i + 1) * d), 2 * i * d);
    const path = (name: string) => join(directory, name);
    writeFileSync(path("rows.f32"), file);
    writeFileSync(path("labels.u32"), labels);
    writeFileSync(path("feedback.json"), JSON.stringify({ ...NO_FEEDBACK, ...feedback }));
    return {
      dimensions: d,
      metric: "cosine",
      seed: 7,
      threads: 1,
      niceness: 0,
      rows: path("rows.f32"),
      liveLabels: path("labels.u32"),
      feedback: path("feedback.json"),
      options: {},
      output: { model: path("head.onnx"), vectors: path("vectors.f32") },
      ...changes,
    };
  }
}

/** Random feedback over `items` items: triplets, pairs and labels, with everything that can go together. */
export function randomFeedback(random: Random, items: number): NumberedFeedback {
  const other = (...taken: number[]): number => {
    for (;;) {
      const item = random.integer(items);
      if (!taken.includes(item)) return item;
    }
  };
  const feedback: NumberedFeedback = { pairs: [], triplets: [], labels: [] };
  for (let i = random.integer(30); i > 0; i--) {
    const anchor = other();
    const positive = other(anchor);
    feedback.triplets.push([anchor, positive, other(anchor, positive)]);
  }
  for (let i = random.integer(30); i > 0; i--) {
    const a = other();
    feedback.pairs.push([a, other(a), random.uniform() < 0.5 ? "similar" : "dissimilar"]);
  }
  for (let i = random.integer(20); i > 0; i--) feedback.labels.push([other(), `label ${random.integer(5)}`]);
  return feedback;
}

/** Components of what is called similar, by spreading the smallest member until nothing changes. */
export function naiveComponents(feedback: NumberedFeedback, items: number): number[] {
  const edges: [number, number][] = feedback.triplets.map(([anchor, positive]) => [anchor, positive]);
  const lastWord = new Map<string, [number, number, string]>();
  for (const [a, b, label] of feedback.pairs) lastWord.set(`${Math.min(a, b)}-${Math.max(a, b)}`, [a, b, label]);
  for (const [a, b, label] of lastWord.values()) if (label === "similar") edges.push([a, b]);
  const labels = new Map(feedback.labels);
  for (const [a, label] of labels) for (const [b, same] of labels) if (label === same) edges.push([a, b]);
  const component = Array.from({ length: items }, (_, item) => item);
  for (let changed = true; changed; ) {
    changed = false;
    for (const [a, b] of edges) {
      const smallest = Math.min(component[a]!, component[b]!);
      if (component[a] === smallest && component[b] === smallest) continue;
      component[a] = smallest;
      component[b] = smallest;
      changed = true;
    }
  }
  return component;
}

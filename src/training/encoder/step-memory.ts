import type { Dimension, GraphBuilder, GraphNode, Value } from "../../onnx/index.js";
import type { PartShape } from "./batch-cuts.js";
import { partGraph, type StepGraphOptions, updateGraph } from "./step-graph.js";

/** Sizes of the dimensions that vary, by name: `rows_0`, `tokens_0`, ... */
export type Sizes = Readonly<Record<string, number>>;

/** Operators whose output is their input's memory under another shape. */
const VIEWS = new Set(["Reshape", "Identity", "Squeeze", "Unsqueeze", "Flatten"]);
/** Operators that ONNX Runtime lets write over an input that nothing else reads. */
const IN_PLACE = new Set([
  "Add",
  "Sub",
  "Mul",
  "Div",
  "Sqrt",
  "Relu",
  "Exp",
  "Log",
  "Tanh",
  "Sigmoid",
  "Erf",
  "Neg",
  "Softmax",
  "Clip",
]);
const BYTES: Readonly<Record<string, number>> = {
  float64: 8,
  int64: 8,
  uint64: 8,
  bool: 1,
  uint8: 1,
  int8: 1,
  float16: 2,
};

/**
 * ONNX Runtime takes memory in blocks that grow by doubling, and what is alive lies scattered in them. This many times as much as is alive
 * at once was taken over hundreds of steps of batches of differing lengths: 1.6 after ten steps, more in the end of a job (`bench learn`).
 */
const ARENA = 2.3;
/**
 * Sets of trained weights, as numbers, that are about beside what a run has alive: weights and two moments that the step starts from, the two
 * of the first step until they are collected, the best of early stopping, and the gradient as it was clipped.
 */
const SETS = 7;

/**
 * What a training step takes, in bytes, beside what the process holds before the first one: sets of weights, and what its graphs have
 * alive at their peaks, the next state and the gradients among it. By parts these are several graphs, and each session keeps what it took.
 */
export class StepMemory {
  readonly #options: StepGraphOptions;
  readonly #embed: GraphMemory;
  readonly #whole: GraphMemory | undefined;
  /** Of one set of trained weights. */
  readonly #weights: number;
  #parts: { part: GraphMemory; update: number } | undefined;

  constructor(options: StepGraphOptions, embed: GraphBuilder, whole: GraphBuilder | undefined) {
    this.#options = options;
    this.#embed = new GraphMemory(embed);
    this.#whole = whole && new GraphMemory(whole);
    this.#weights = options.encoder.trained.weights.reduce((sum, { start }) => sum + start.byteLength, 0);
  }

  whole(parts: readonly PartShape[]): number {
    const rows = parts.reduce((sum, part) => sum + part.rows, 0);
    const sizes = Object.assign({ rows }, ...this.#options.objectives.map((_, j) => ({ [`anchors_${j}`]: rows })));
    const bound = Object.assign(
      sizes,
      ...parts.map((part, k) => ({ [`rows_${k}`]: part.rows, [`tokens_${k}`]: part.tokens })),
    );
    return SETS * this.#weights + ARENA * (this.#whole?.peakBytes(bound) ?? 0);
  }

  byParts(parts: readonly PartShape[]): number {
    this.#parts ??= {
      part: new GraphMemory(partGraph(this.#options.encoder)),
      update: new GraphMemory(updateGraph(this.#options)).peakBytes({}),
    };
    const { part, update } = this.#parts;
    const largest = Math.max(...parts.map(({ rows, tokens }) => part.peakBytes({ rows_0: rows, tokens_0: tokens })));
    const encoding = Math.max(...parts.map((shape) => this.#encodingAlive(shape)));
    return (SETS + 1) * this.#weights + ARENA * (update + largest + encoding);
  }

  /** Encoding alone. */
  encoding(shape: PartShape): number {
    return ARENA * this.#encodingAlive(shape);
  }

  #encodingAlive({ rows, tokens }: PartShape): number {
    return this.#embed.peakBytes({ rows_0: rows, tokens_0: tokens });
  }
}

/**
 * What a graph's run takes at its peak, beside inputs and initializers: the largest sum of values that are alive at once, outputs
 * included. Nodes run in the order they were added in, as ONNX Runtime mostly does; a value dies after the last node that reads it.
 */
export class GraphMemory {
  readonly #nodes: readonly GraphNode[];
  /** Index of the last node that reads a value (or a view of it); outputs live on. */
  readonly #lastUse = new Map<Value, number>();
  /** What each view is of. */
  readonly #rootOf = new Map<Value, Value>();

  constructor(graph: GraphBuilder) {
    const proto = graph.model().graph;
    const names = new Map((proto?.node ?? []).map((node) => [node.name, node.output ?? []]));
    const outputs = new Set((proto?.output ?? []).map(({ name }) => name));
    this.#nodes = graph.nodes.filter(({ name }) => names.has(name));
    for (const [index, node] of this.#nodes.entries()) {
      for (const input of node.inputs) if (input !== undefined) this.#lastUse.set(this.#root(input), index);
      const viewed = node.inputs[0];
      if (!isView(node) || viewed === undefined) continue;
      for (const output of node.outputs) this.#rootOf.set(output, this.#root(viewed));
    }
    for (const node of this.#nodes) {
      for (const [at, output] of node.outputs.entries()) {
        if (outputs.has(names.get(node.name)?.[at])) this.#lastUse.set(this.#root(output), this.#nodes.length);
      }
    }
  }

  /** @returns bytes */
  peakBytes(sizes: Sizes): number {
    let [live, peak] = [0, 0];
    const held = new Map<Value, number>();
    for (const [index, node] of this.#nodes.entries()) {
      const dying = new Set(
        node.inputs.flatMap((input) => (input && this.#dies(input, index, held) ? [this.#root(input)] : [])),
      );
      for (const output of node.outputs) {
        if (this.#rootOf.has(output)) continue;
        const bytes = bytesOf(output, sizes);
        const reused = IN_PLACE.has(node.opType) ? [...dying].find((value) => held.get(value) === bytes) : undefined;
        if (reused !== undefined) {
          dying.delete(reused);
          held.delete(reused);
        } else live += bytes;
        if (this.#lastUse.has(output)) held.set(output, bytes);
        else live -= bytes;
      }
      peak = Math.max(peak, live);
      for (const value of dying) {
        live -= held.get(value) ?? 0;
        held.delete(value);
      }
    }
    return peak;
  }

  #dies(input: Value, index: number, held: ReadonlyMap<Value, number>): boolean {
    const root = this.#root(input);
    return held.has(root) && this.#lastUse.get(root) === index;
  }

  #root(value: Value): Value {
    return this.#rootOf.get(value) ?? value;
  }
}

/** A transposed matrix is no copy either: ONNX Runtime gives it to the product that reads it as it lies. */
function isView({ opType, inputs }: GraphNode): boolean {
  return VIEWS.has(opType) || (opType === "Transpose" && inputs[0]?.shape.length === 2);
}

/** Bytes of a value with its dimensions bound. */
function bytesOf({ dtype, shape }: Value, sizes: Sizes): number {
  return shape.reduce<number>((bytes, dimension) => bytes * sizeOf(dimension, sizes), BYTES[dtype] ?? 4);
}

/** A dimension is a number, a name, or a sum of products of them, as in `8*rows_0*tokens_0+2`; what nobody knows counts as 1. */
function sizeOf(dimension: Dimension, sizes: Sizes): number {
  if (typeof dimension === "number") return dimension;
  const factor = (part: string) => (/^\d+$/.test(part) ? Number(part) : (sizes[part] ?? 1));
  const product = (term: string) => term.split("*").reduce((value, part) => value * factor(part), 1);
  return dimension.split("+").reduce((sum, term) => sum + product(term), 0);
}

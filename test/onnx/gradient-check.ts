import assert from "node:assert/strict";
import { differentiate, encodeModel, GraphBuilder, type Value } from "../../src/onnx/index.js";
import { openSession, type Tensor } from "../../src/runtime/index.js";

/** What the numbers of a parameter are drawn from, where the default (-2 to 2) is outside an operator's domain. */
export type Draw = (random: () => number) => number;

export interface Parameter {
  readonly shape: readonly number[];
  /** The shape as declared to the graph, where dimensions are to be symbolic. @default shape */
  readonly declared?: readonly (number | string)[];
  readonly draw?: Draw;
}

export interface GradientCheck {
  readonly parameters: readonly Parameter[];
  readonly build: (graph: GraphBuilder, parameters: Value[]) => Value;
  /** float32 where ONNX Runtime's CPU provider has no double kernel. @default float64 */
  readonly dtype?: "float32" | "float64";
  /** Operator that must stand in the graph, so that a check names what it checks. */
  readonly opType?: string;
}

const SEED = Number(process.env.ATTUNE_SEED ?? 1);

/** Mulberry32, kept apart from the code under test. */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Compares the gradients of sum(weights * f(parameters)), for random weights, with central finite differences of the same sum,
 * each evaluated by ONNX Runtime.
 */
export async function checkGradients(check: GradientCheck): Promise<void> {
  const { parameters, build, dtype = "float64", opType } = check;
  const random = generator(SEED);
  const graph = new GraphBuilder("check");
  const inputs = parameters.map((each, at) => graph.input(`p${at}`, dtype, each.declared ?? each.shape));
  const result = build(graph, inputs);
  if (opType !== undefined)
    assert.ok(
      graph.nodes.some((node) => node.opType === opType),
      `no ${opType} in the graph`,
    );
  const weights = graph.input("weights", dtype, result.shape);
  const loss = graph.reduceSum(graph.mul(weights, result));
  const gradients = differentiate(graph, loss, inputs);
  graph.output(loss, "loss");
  for (const [at, gradient] of gradients.entries()) graph.output(gradient, `g${at}`);
  const session = await openSession(encodeModel(graph.model()), { provider: "cpu", threads: 1 });
  try {
    const feeds: Record<string, Tensor> = {};
    for (const [at, { shape, draw = (next: () => number) => 4 * next() - 2 }] of parameters.entries()) {
      feeds[`p${at}`] = tensor(dtype, shape, () => draw(random));
    }
    const shape = await resultShape(check, feeds);
    feeds.weights = tensor(dtype, shape, () => 2 * random() - 1);
    const found = await session.run(feeds);
    for (const [at, parameter] of parameters.entries()) {
      const gradient = found[`g${at}`]!;
      assert.deepEqual(gradient.shape, parameter.shape, `shape of the gradient of p${at}`);
      await compare(session, feeds, `p${at}`, gradient, dtype);
    }
  } finally {
    await session.close();
  }
}

/** A result whose shape holds names is run once by itself to learn its sizes. */
async function resultShape(check: GradientCheck, feeds: Record<string, Tensor>): Promise<readonly number[]> {
  const graph = new GraphBuilder("shape");
  const inputs = check.parameters.map(({ shape, declared }, at) =>
    graph.input(`p${at}`, check.dtype ?? "float64", declared ?? shape),
  );
  graph.output(check.build(graph, inputs), "result");
  const session = await openSession(encodeModel(graph.model()), { provider: "cpu", threads: 1 });
  const { result } = await session.run(feeds);
  await session.close();
  return result!.shape;
}

function tensor(dtype: "float32" | "float64", shape: readonly number[], next: () => number): Tensor {
  const length = shape.reduce((product, size) => product * size, 1);
  const data = dtype === "float64" ? new Float64Array(length) : new Float32Array(length);
  for (let index = 0; index < length; index++) data[index] = next();
  return { dtype, shape, data };
}

async function compare(
  session: { run(feeds: Record<string, Tensor>, outputs?: string[]): Promise<Record<string, Tensor>> },
  feeds: Record<string, Tensor>,
  name: string,
  gradient: Tensor,
  dtype: "float32" | "float64",
): Promise<void> {
  // The error of a central difference is of order step^2 and precision / step.
  const [step, tolerance] = dtype === "float64" ? [1e-5, 1e-6] : [1e-2, 2e-2];
  const original = feeds[name]!;
  const lossAt = async (index: number, value: number) => {
    const data = original.data.slice() as Float64Array;
    data[index] = value;
    const moved: Record<string, Tensor> = { ...feeds, [name]: { ...original, data } };
    const { loss } = await session.run(moved, ["loss"]);
    return Number(loss!.data[0]);
  };
  for (let index = 0; index < original.data.length; index++) {
    const value = Number(original.data[index]);
    const expected = ((await lossAt(index, value + step)) - (await lossAt(index, value - step))) / (2 * step);
    const actual = Number(gradient.data[index]);
    const slack = tolerance * Math.max(1, Math.abs(expected));
    assert.ok(
      Math.abs(actual - expected) <= slack,
      `d loss / d ${name}[${index}] is ${actual}, finite differences give ${expected} (seed ${SEED})`,
    );
  }
}

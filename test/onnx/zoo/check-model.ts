import assert from "node:assert/strict";
import {
  decodeModel,
  differentiate,
  encodeModel,
  GraphBuilder,
  importModel,
  type ModelProto,
  normalizeModel,
  tensorOfProto,
  trainableWeights,
  type Value,
} from "../../../src/onnx/index.js";
import { openSession, type Session, type Tensor } from "../../../src/runtime/index.js";
import { generator } from "../gradient-check.js";

export interface ModelCheck {
  readonly model: ModelProto;
  readonly feeds: Readonly<Record<string, Tensor>>;
  /** The weights that training is to find. */
  readonly weights: Iterable<string>;
  /** The output's rank, which must be known without running. */
  readonly rank: number;
  /** Of the differences: small where a model has kinks, such as those of Relu and MaxPool. @default 0.01 */
  readonly step?: number;
}

/**
 * Holds a model against ONNX Runtime's reading of it: normalised, imported, exported and imported again it gives the same output; all
 * its weights are found; and the gradient of every one is that of central differences.
 */
export async function checkModel({ model, feeds, weights, rank, step = 0.01 }: ModelCheck): Promise<void> {
  const original = decodeModel(encodeModel(model));
  const expected = await outputOf(original, feeds);
  const normal = normalizeModel(original);
  assertClose(await outputOf(normal, feeds), expected, "the normalised model");
  const copy = copyOf(normal, rank);
  assertClose(await outputOf(copy, feeds), expected, "the imported model");
  const again = copyOf(normalizeModel(decodeModel(encodeModel(copy))), rank);
  assertClose(await outputOf(again, feeds), expected, "the model imported again");
  const [output = ""] = (normal.graph?.output ?? []).map((info) => info.name ?? "");
  const found = trainableWeights(normal, [output]).map((weight) => weight.name);
  assert.deepEqual([...found].sort(), [...weights].sort());
  await checkGradients(normal, output, found, feeds, expected.shape, step);
}

/** The only output of a model. */
export async function outputOf(model: ModelProto, feeds: ModelCheck["feeds"]): Promise<Tensor> {
  const session = await openSession(encodeModel(model), { provider: "cpu", threads: 1 });
  try {
    return Object.values(await session.run(feeds))[0]!;
  } finally {
    await session.close();
  }
}

/** The model as the graph builder writes it. */
export function copyOf(model: ModelProto, rank: number): ModelProto {
  const graph = new GraphBuilder("copy");
  for (const [name, value] of importModel(graph, model).outputs) {
    assert.equal(value.shape.length, rank, `rank of ${name}`);
    graph.output(value, name);
  }
  return graph.model();
}

export function assertClose(actual: Tensor, expected: Tensor, what: string, tolerance = 1e-5): void {
  assert.deepEqual(actual.shape, expected.shape, what);
  for (const [at, value] of expected.data.entries()) {
    const difference = Math.abs(Number(actual.data[at]) - Number(value));
    assert.ok(
      difference <= tolerance * Math.max(1, Math.abs(Number(value))),
      `${what} differs by ${difference} at ${at}`,
    );
  }
}

/** Gradients of sum(direction * output), for a random direction, with the weights as inputs. */
async function checkGradients(
  model: ModelProto,
  output: string,
  weights: readonly string[],
  feeds: ModelCheck["feeds"],
  shape: readonly number[],
  step: number,
): Promise<void> {
  const graph = new GraphBuilder("gradients");
  const parameters = new Map<string, Value>();
  const data = new Map<string, Tensor>();
  const imported = importModel(graph, model, {
    replace: (name, tensor) => {
      if (!weights.includes(name)) return undefined;
      const parameter = graph.input(`weight ${name}`, tensor.dtype, tensor.shape);
      parameters.set(name, parameter);
      return parameter;
    },
  });
  for (const proto of model.graph!.initializer!) data.set(proto.name!, tensorOfProto(proto) as Tensor);
  const embedding = imported.outputs.get(output)!;
  const loss = graph.reduceSum(graph.mul(embedding, graph.input("direction", "float32", embedding.shape)));
  const gradients = differentiate(
    graph,
    loss,
    weights.map((name) => parameters.get(name)!),
  );
  // Inference knew which axes were repeated: sums over axes that only the run knows cost a pass over the data.
  assert.ok(graph.nodes.every((node) => node.opType !== "NonZero"));
  graph.output(loss, "loss");
  for (const [at, gradient] of gradients.entries()) graph.output(gradient, `gradient ${weights[at]}`);
  const session = await openSession(encodeModel(graph.model()), { provider: "cpu", threads: 1 });
  try {
    const random = generator(7);
    const all: Record<string, Tensor> = { ...feeds };
    const length = shape.reduce((product, size) => product * size, 1);
    all.direction = { dtype: "float32", shape, data: Float32Array.from({ length }, () => 2 * random() - 1) };
    for (const name of weights) all[`weight ${name}`] = data.get(name)!;
    const found = await session.run(all);
    for (const name of weights) {
      const gradient = found[`gradient ${name}`]!;
      assert.deepEqual(gradient.shape, data.get(name)!.shape, name);
      await checkGradient(session, all, `weight ${name}`, gradient.data as Float32Array, random, step);
    }
  } finally {
    await session.close();
  }
}

/** Slopes along the gradient itself, and along single entries: the steepest and some at random. */
async function checkGradient(
  session: Session,
  feeds: Record<string, Tensor>,
  name: string,
  gradient: Float32Array,
  random: () => number,
  step: number,
): Promise<void> {
  const length = Math.sqrt(gradient.reduce((sum, slope) => sum + slope * slope, 0));
  assert.ok(Number.isFinite(length), `${name}: the gradient has length ${length}`);
  const steepest = gradient.reduce((best, slope, at) => (Math.abs(slope) > Math.abs(gradient[best]!) ? at : best), 0);
  const picked = [steepest, ...Array.from({ length: 2 }, () => Math.floor(random() * gradient.length))];
  const directions: [string, (at: number) => number, number][] = picked.map((entry) => [
    `[${entry}]`,
    (at) => (at === entry ? 1 : 0),
    gradient[entry]!,
  ]);
  if (length > 1e-4) directions.push([" along its gradient", (at) => gradient[at]! / length, length]);
  for (const [what, direction, expected] of directions) {
    const slope = await slopeAlong(session, feeds, name, direction, step);
    const slack = 0.01 * Math.max(Math.abs(expected), 0.02 * length) + 5e-4;
    assert.ok(Math.abs(slope - expected) <= slack, `${name}${what}: ${expected}, by differences ${slope}`);
  }
}

/** A central difference of fourth order: its error is of order step^4, so that steps may be large beside the rounding of float32. */
async function slopeAlong(
  session: Session,
  feeds: Record<string, Tensor>,
  name: string,
  direction: (at: number) => number,
  step: number,
): Promise<number> {
  const original = feeds[name]!;
  const lossAt = async (distance: number) => {
    const data = (original.data as Float32Array).map((value, at) => value + distance * direction(at));
    const { loss } = await session.run({ ...feeds, [name]: { ...original, data } }, ["loss"]);
    return Number(loss!.data[0]);
  };
  const near = (await lossAt(step)) - (await lossAt(-step));
  const far = (await lossAt(2 * step)) - (await lossAt(-2 * step));
  return (8 * near - far) / (12 * step);
}

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { before, describe, it } from "node:test";
import { defaultCacheDirectory } from "../../src/encoder/cache-directory.js";
import { prepareUseLite } from "../../src/encoder/use-lite/prepare.js";
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
  withInitializers,
} from "../../src/onnx/index.js";
import { openSession, type Tensor } from "../../src/runtime/index.js";
import { generator } from "./gradient-check.js";

const int64 = (shape: number[], values: number[]): Tensor => ({
  dtype: "int64",
  shape,
  data: BigInt64Array.from(values, BigInt),
});
/** Two texts of four and two tokens. */
const FEEDS = {
  input_ids: int64([2, 4], [17, 4, 990, 8, 5000, 17, 0, 0]),
  attention_mask: int64([2, 4], [1, 1, 1, 1, 1, 1, 0, 0]),
};

async function run(model: ModelProto, feeds: Record<string, Tensor>): Promise<Record<string, Tensor>> {
  const session = await openSession(encodeModel(model), { provider: "cpu", threads: 1 });
  try {
    return await session.run(feeds);
  } finally {
    await session.close();
  }
}

describe("the built-in text encoder, imported", () => {
  let original: ModelProto;
  let model: ModelProto;
  before(async () => {
    const { path } = await prepareUseLite({ cacheDirectory: defaultCacheDirectory() });
    original = decodeModel(await readFile(path));
    model = normalizeModel(original);
  });

  it("gives the same embeddings", async () => {
    const graph = new GraphBuilder("copy");
    const imported = importModel(graph, model, { prefix: "encoder." });
    assert.deepEqual([...imported.inputs.keys()], ["input_ids", "attention_mask"]);
    const embedding = imported.outputs.get("sentence_embedding")!;
    assert.deepEqual(embedding.shape, ["batch", 512]);
    graph.output(embedding, "sentence_embedding");
    const [expected, actual] = [await run(original, FEEDS), await run(graph.model(), FEEDS)];
    assert.deepEqual(actual.sentence_embedding, expected.sentence_embedding);
  });

  it("names its weights from the first layer to the last, and no constants", () => {
    const weights = trainableWeights(model, ["sentence_embedding"]);
    const names = weights.map((weight) => weight.name);
    assert.deepEqual(names.slice(0, 2), ["positions", "token_embeddings"]);
    assert.deepEqual(names.slice(-2), ["output.weights", "output.bias"]);
    assert.ok(names.indexOf("layer_0.queryKeyValue") < names.indexOf("layer_1.queryKeyValue"));
    assert.ok(names.every((name) => !name.startsWith("constant")));
    assert.deepEqual(weights[1], { name: "token_embeddings", shape: [8002, 256], size: 8002 * 256 });
  });

  it("has gradients of every weight that agree with finite differences", async () => {
    const weights = trainableWeights(model, ["sentence_embedding"]);
    const graph = new GraphBuilder("step");
    const parameters = new Map<string, Value>();
    const imported = importModel(graph, model, {
      replace: (name, { dtype, shape }) => {
        if (!weights.some((weight) => weight.name === name)) return undefined;
        const parameter = graph.input(name, dtype, shape);
        parameters.set(name, parameter);
        return parameter;
      },
    });
    assert.equal(parameters.size, weights.length);
    const embedding = imported.outputs.get("sentence_embedding")!;
    const loss = graph.reduceSum(graph.mul(embedding, graph.input("direction", "float32", embedding.shape)));
    const inputs = weights.map(({ name }) => parameters.get(name)!);
    graph.output(loss, "loss");
    for (const [at, gradient] of differentiate(graph, loss, inputs).entries())
      graph.output(gradient, `d ${weights[at]!.name}`);
    const session = await openSession(encodeModel(graph.model()), { provider: "cpu", threads: 1 });
    const random = generator(1);
    const feeds: Record<string, Tensor> = {
      ...FEEDS,
      direction: { dtype: "float32", shape: [2, 512], data: Float32Array.from({ length: 1024 }, () => random() - 0.5) },
    };
    for (const proto of model.graph!.initializer!) {
      if (parameters.has(proto.name!)) feeds[proto.name!] = tensorOfProto(proto) as Tensor;
    }
    const found = await session.run(feeds);
    for (const { name, shape } of weights) {
      const gradient = found[`d ${name}`]!;
      assert.deepEqual(gradient.shape, shape);
      // Along the gradient itself the slope is its length.
      const slopes = gradient.data as Float32Array;
      const length = Math.sqrt(slopes.reduce((sum, slope) => sum + slope * slope, 0));
      const original = feeds[name]!;
      const lossAt = async (step: number) => {
        const data = (original.data as Float32Array).map((value, at) => value + (step * slopes[at]!) / length);
        return Number((await session.run({ ...feeds, [name]: { ...original, data } }, ["loss"])).loss!.data[0]);
      };
      const step = 1e-3;
      const slope = ((await lossAt(step)) - (await lossAt(-step))) / (2 * step);
      assert.ok(Math.abs(slope - length) < 0.01 * length + 5e-3, `${name}: ${slope} and ${length}`);
    }
    await session.close();
  });

  it("takes other data for a weight, and refuses what does not fit", async () => {
    const bias = { dtype: "float32" as const, shape: [512], data: new Float32Array(512).fill(0.5) };
    const changed = withInitializers(model, new Map([["output.bias", bias]]));
    const tensors = changed.graph!.initializer!.map(tensorOfProto);
    assert.ok(tensors.some(({ data }) => data.length === 512 && data.every((value) => value === 0.5)));
    assert.notDeepEqual(await run(changed, FEEDS), await run(model, FEEDS));
    const refused = { code: "invalid_model" };
    assert.throws(() => withInitializers(model, new Map([["output.bias", { ...bias, shape: [1, 512] }]])), refused);
    assert.throws(() => withInitializers(model, new Map([["nothing", bias]])), refused);
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AttuneError } from "../../src/errors/index.js";
import {
  decodeModel,
  differentiate,
  encodeModel,
  float,
  GraphBuilder,
  type Shape,
  type Value,
} from "../../src/onnx/index.js";
import { openSession, type Tensor } from "../../src/runtime/index.js";

/** Runs a graph and gives its outputs by name. */
async function run(graph: GraphBuilder, feeds: Record<string, Tensor> = {}): Promise<Record<string, Tensor>> {
  const session = await openSession(encodeModel(graph.model()), { provider: "cpu", threads: 1 });
  try {
    return await session.run(feeds);
  } finally {
    await session.close();
  }
}

const floats = (...values: number[]): Tensor => ({
  dtype: "float32",
  shape: [values.length],
  data: Float32Array.from(values),
});

/** Names the error must hold: it has the code and tells which node is at fault. */
const refusal = (part: RegExp) => (error: unknown) =>
  error instanceof AttuneError && error.code === "invalid_model" && part.test(error.message);

type Build = (graph: GraphBuilder, x: Value) => Value | Value[];

/** `x` is float32 (2, 3, 4). */
const BUILDS: Record<string, Build> = {
  arithmetic: (graph, x) =>
    graph.sum([graph.add(x, 1), graph.sub(x, 2), graph.mul(x, x), graph.div(x, 3), graph.pow(x, 2)]),
  unary: (graph, x) => [
    graph.neg(x),
    graph.abs(x),
    graph.sign(x),
    graph.exp(x),
    graph.erf(x),
    graph.floor(x),
    graph.softplus(x),
  ],
  minimum: (graph, x) => graph.min(graph.max(x, graph.constant([0, 0, 1, 1])), 5),
  comparison: (graph, x) => [graph.greater(x, 0), graph.lessOrEqual(x, x), graph.not(graph.equal(x, 1))],
  logic: (graph, x) => graph.and(graph.less(x, 1), graph.or(graph.greater(x, 0), graph.greaterOrEqual(x, 2))),
  where: (graph, x) => graph.where(graph.greater(x, 0), x, graph.constant([1, 2, 3], "float32", [3, 1])),
  cast: (graph, x) => [graph.cast(x, "int64"), graph.cast(x, "bool"), graph.cast(x, "float64")],
  clip: (graph, x) => graph.clip(x, 0, undefined),
  matMul: (graph, x) => [
    graph.matMul(x, graph.transpose(x, [0, 2, 1])),
    graph.matMul(x, graph.constant([1, 2, 3, 4])),
    graph.matMul(graph.constant([1, 2, 3]), x),
  ],
  gemm: (graph, x) => {
    const matrix = graph.reshape(x, [6, 4]);
    return graph.gemm(matrix, matrix, graph.constant([1], "float32"), { transB: true, alpha: 0.5 });
  },
  reductions: (graph, x) => [
    graph.reduceSum(x),
    graph.reduceSum(x, []),
    graph.reduceMean(x, [1], true),
    graph.reduceMax(x, [-1, 0]),
    graph.reduceMin(x, [2]),
    graph.reduceLogSumExp(x, [0]),
  ],
  positions: (graph, x) => [graph.argMax(x, 1), graph.argMin(x, -1, true)],
  topK: (graph, x) => {
    const { values, indices } = graph.topK(x, 2, { axis: 1, largest: false });
    return [values, indices];
  },
  softmax: (graph, x) => [graph.softmax(x), graph.logSoftmax(x, 1)],
  layerNormalization: (graph, x) =>
    graph.layerNormalization(x, graph.constant([1, 1, 1, 1]), graph.constant([0, 0, 0, 0])),
  cumSum: (graph, x) => graph.cumSum(x, 1, { exclusive: true }),
  transpose: (graph, x) => [graph.transpose(x), graph.transpose(x, [1, 0, 2])],
  reshape: (graph, x) => [graph.reshape(x, [-1]), graph.reshape(x, [0, -1, 2]), graph.reshape(x, graph.shape(x))],
  expand: (graph, x) => graph.expand(graph.unsqueeze(x, [0]), [2, 1, 3, 1]),
  squeeze: (graph, x) => graph.squeeze(graph.squeeze(graph.unsqueeze(x, [0, -1]), [0])),
  concat: (graph, x) => graph.concat([x, x, graph.neg(x)], -1),
  split: (graph, x) => graph.split(x, [1, 2], 1),
  tile: (graph, x) => graph.tile(x, [2, 1, 3]),
  slices: (graph, x) => [
    graph.slice(x, [0], [1]),
    graph.slice(x, [-2, 0], [2 ** 40, -1], [2, 1]),
    graph.slice(x, [-1], [-(2 ** 40)], [2], [-2]),
    graph.slice(x, [3], [1], [1]),
  ],
  trilu: (graph, x) => graph.trilu(x, { upper: false, k: 1 }),
  gather: (graph, x) => [
    graph.gather(x, [0, 1, 0], 1),
    graph.gather(x, -1),
    graph.gather(x, graph.constant([0, 1], "int64", [2, 1]), 2),
  ],
  elements: (graph, x) => graph.gatherElements(x, graph.constantOfShape([2, 2, 4], 1, "int64"), 1),
  scatter: (graph, x) =>
    graph.scatterElements(x, graph.constantOfShape([1, 1, 4], 1, "int64"), graph.constantOfShape([1, 1, 4], 9)),
  oneHot: (graph, x) => graph.oneHot(graph.argMax(x, 0), 2),
  shapes: (graph, x) => [graph.shape(x), graph.constantOfShape([2, 0, 1], 3, "int32"), graph.range(2, 11, 3)],
  pad: (graph, x) => graph.operator("Pad", [x, graph.constant([0, 1, 0, 2, 0, 0], "int64")]),
  flatten: (graph, x) => graph.operator("Flatten", [x], { axis: 2 }),
  oldStyle: (graph, x) => graph.operator("LeakyRelu", [x], { alpha: float(1) }),
};

describe("inference agrees with what ONNX Runtime computes", () => {
  const data = Float32Array.from({ length: 24 }, (_, at) => Math.sin(at));
  for (const [name, build] of Object.entries(BUILDS)) {
    for (const declared of [
      [2, 3, 4],
      ["batch", 3, 4],
    ] as Shape[]) {
      it(`${name}, x declared as [${declared}]`, async () => {
        const graph = new GraphBuilder("inference");
        const results = [build(graph, graph.input("x", "float32", declared))].flat();
        for (const [at, value] of results.entries()) graph.output(value, `y${at}`);
        const outputs = await run(graph, { x: { dtype: "float32", shape: [2, 3, 4], data } });
        for (const [at, value] of results.entries()) {
          const actual = outputs[`y${at}`]!;
          assert.equal(value.dtype, actual.dtype);
          assert.equal(
            value.shape.length,
            actual.shape.length,
            `rank of ${value.name}: ${value.shape} and ${actual.shape}`,
          );
          for (const [axis, size] of value.shape.entries()) {
            if (typeof size === "number") assert.equal(size, actual.shape[axis], `${value.name}, axis ${axis}`);
          }
        }
      });
    }
  }
});

describe("symbolic dimensions", () => {
  const graph = new GraphBuilder("symbols");
  const x = graph.input("x", "float32", ["n", "t", 6]);

  it("survive a reshape that splits and joins heads", () => {
    const heads = graph.transpose(graph.reshape(x, [0, 0, 2, 3]), [0, 2, 1, 3]);
    assert.deepEqual(heads.shape, ["n", 2, "t", 3]);
    assert.deepEqual(graph.matMul(heads, graph.transpose(heads, [0, 1, 3, 2])).shape, ["n", 2, "t", "t"]);
    assert.deepEqual(graph.reshape(graph.transpose(heads, [0, 2, 1, 3]), [0, 0, 6]).shape, ["n", "t", 6]);
  });

  it("survive being flattened and computed with", () => {
    const flat = graph.reshape(x, [-1, 6]);
    assert.deepEqual(flat.shape, ["n*t", 6]);
    assert.deepEqual(graph.reshape(flat, graph.shape(x)).shape, ["n", "t", 6]);
    assert.deepEqual(graph.range(0, graph.gather(graph.shape(x), 1)).shape, ["t"]);
    assert.deepEqual(graph.concat([x, x], 1).shape, ["n", "t+t", 6]);
  });

  it("of different names do not broadcast, and withShape tells what only the caller knows", () => {
    const y = graph.input("y", "float32", ["m", "t", 6]);
    assert.throws(() => graph.add(x, y), refusal(/Node "Add_\d+" \(Add\).*\[n, t, 6\] and \[m, t, 6\]/));
    assert.deepEqual(graph.add(x, graph.withShape(y, ["n", "t", 6])).shape, ["n", "t", 6]);
    assert.throws(() => graph.withShape(y, ["n", "t", 7]), refusal(/cannot have the shape/));
  });
});

describe("the model", () => {
  it("carries the names asked for, and only what its outputs need", async () => {
    const graph = new GraphBuilder("names", { opset: 21 });
    const x = graph.input("x", "float32", ["n"]);
    const unused = graph.initializer("unused", { dtype: "float32", shape: [1], data: Float32Array.of(1) });
    graph.mul(x, unused);
    const doubled = graph.scope("layer", () => graph.scope("inner", () => graph.add(x, x)));
    assert.equal(doubled.name, "layer/inner/Add_0");
    graph.output(doubled, "y");
    graph.output(doubled, "same");
    graph.output(x, "echo");
    const model = decodeModel(encodeModel(graph.model())).graph!;
    assert.deepEqual(
      model.output!.map((info) => info.name),
      ["y", "same", "echo"],
    );
    assert.deepEqual(model.initializer, []);
    assert.deepEqual(
      model.node!.map((node) => node.opType),
      ["Add", "Identity", "Identity"],
    );
    const outputs = await run(graph, { x: floats(1, 2) });
    for (const [name, expected] of Object.entries({ y: [2, 4], same: [2, 4], echo: [1, 2] })) {
      assert.deepEqual([...outputs[name]!.data], expected);
    }
  });

  it("shares equal small constants, and tells -0 from 0", () => {
    const graph = new GraphBuilder("constants");
    assert.equal(graph.constant(0.5), graph.constant(0.5));
    assert.notEqual(graph.constant(1), graph.constant(1, "float64"));
    assert.notEqual(graph.constant(0), graph.constant(-0));
    assert.notEqual(graph.constant(1), graph.constant([1]));
  });

  it("takes operators of other domains when their types are given", async () => {
    const graph = new GraphBuilder("contrib");
    const x = graph.input("x", "float32", [2]);
    const [y] = graph.node("Gelu", [x], {}, [{ dtype: "float32", shape: [2] }], {
      domain: "com.microsoft",
      name: "gelu",
    });
    graph.output(y!, "y");
    const { y: result } = await run(graph, { x: floats(1, -1) });
    // x * Phi(x) of the standard normal distribution.
    assert.ok(Math.abs(Number(result!.data[0]) - 0.841345) < 1e-4);
    assert.throws(
      () => graph.node("Gelu", [x], {}, undefined, { domain: "com.microsoft" }),
      refusal(/Gelu.*not known/),
    );
    assert.throws(() => differentiate(graph, graph.reduceSum(y!), [x]), refusal(/Node "gelu" \(com.microsoft.Gelu\)/));
  });
});

describe("refusals name the node", () => {
  const cases: [string, RegExp, (graph: GraphBuilder, x: Value) => unknown][] = [
    [
      "shapes that do not broadcast",
      /Node "Add_0" \(Add\).*\[2, 3\] and \[4\]/,
      (graph, x) => graph.add(x, graph.constant([1, 2, 3, 4])),
    ],
    ["types that differ", /\(Mul\).*float64.*float32/, (graph, x) => graph.mul(x, graph.constant(1, "float64"))],
    ["matrices that do not fit", /\(MatMul\).*3 is not 2/, (graph, x) => graph.matMul(x, x)],
    ["a product with a scalar", /\(MatMul\)/, (graph, x) => graph.matMul(x, graph.constant(1))],
    ["Gemm of a cube", /\(Gemm\)/, (graph, x) => graph.gemm(graph.unsqueeze(x, [0]), x)],
    [
      "an addend too large for Gemm",
      /\(Gemm\).*addend/,
      (graph, x) => graph.gemm(x, x, graph.constantOfShape([3, 2, 2], 0), { transB: true }),
    ],
    ["an axis outside", /\(ReduceSum\).*axis 2.*rank 2/, (graph, x) => graph.reduceSum(x, [2])],
    ["an axis twice", /\(ReduceMean\).*twice/, (graph, x) => graph.reduceMean(x, [1, -1])],
    ["an impossible reshape", /\(Reshape\).*\[2, 3\].*\[4, 2\]/, (graph, x) => graph.reshape(x, [4, 2])],
    ["a reshape that does not divide", /\(Reshape\)/, (graph, x) => graph.reshape(x, [4, -1])],
    ["an impossible expansion", /\(Expand\)/, (graph, x) => graph.expand(x, [4, 3])],
    ["parts that do not join", /\(Concat\)/, (graph, x) => graph.concat([x, graph.transpose(x)], 0)],
    ["parts that do not add up", /\(Split\).*3/, (graph, x) => graph.split(x, [1, 1], 1)],
    ["squeezing a full axis", /\(Squeeze\).*size 2/, (graph, x) => graph.squeeze(x, [0])],
    ["an order that is none", /\(Transpose\)/, (graph, x) => graph.transpose(x, [0])],
    ["a condition that is no bool", /\(Where\).*bool/, (graph, x) => graph.where(x, x, x)],
    ["the logarithm of integers", /\(Log\).*int64.*floating/, (graph) => graph.log(graph.constant([1], "int64"))],
    ["float positions", /\(Gather\).*int64/, (graph, x) => graph.gather(x, x)],
    ["too many of the largest", /\(TopK\).*4.*3/, (graph, x) => graph.topK(x, 4)],
    ["a step of 0", /\(Slice\).*step/, (graph, x) => graph.slice(x, [0], [1], [0], [0])],
    ["a missing input", /\(Add\).*input 1 is missing/, (graph, x) => graph.operator("Add", [x])],
    [
      "a value of another graph",
      /"alien" is no value/,
      (graph, x) => graph.add(x, new GraphBuilder("other").input("alien", "float32", [3])),
    ],
    [
      "an unknown operator",
      /\(Conjure\).*types of its outputs.*without optimisation/,
      (graph, x) => graph.operator("Conjure", [x]),
    ],
    ["a name taken", /"x" is taken/, (graph) => graph.input("x", "float32", [])],
    ["an output's name taken", /"x" is taken/, (graph, x) => graph.output(graph.exp(x), "x")],
    ["a negative dimension", /impossible shape/, (graph) => graph.input("y", "float32", [-1])],
    [
      "data that does not fit",
      /needs 2 elements/,
      (graph) => graph.initializer("w", { dtype: "float32", shape: [2], data: new Float32Array(3) }),
    ],
    ["two plain numbers", /needs no graph/, (graph) => graph.add(1, 2)],
    ["a model without output", /no output/, (graph) => graph.model()],
    ["an operator set not known", /operator sets/, () => new GraphBuilder("old", { opset: 11 })],
  ];
  for (const [name, part, build] of cases) {
    it(name, () => {
      const graph = new GraphBuilder("refusals");
      const x = graph.input("x", "float32", [2, 3]);
      assert.throws(() => build(graph, x), refusal(part));
    });
  }
});

describe("differentiate", () => {
  it("refuses an operator without a rule on the path, and only there", () => {
    const graph = new GraphBuilder("no rule");
    const x = graph.input("x", "float32", [3]);
    const w = graph.input("w", "float32", [3]);
    const [conjured] = graph.node("Conjure", [x], {}, [{ dtype: "float32", shape: [3] }]);
    const loss = graph.reduceSum(graph.mul(w, conjured!));
    assert.deepEqual(differentiate(graph, loss, [w])[0]!.shape, [3]);
    const before = graph.nodes.length;
    assert.throws(() => differentiate(graph, loss, [x]), refusal(/Node "Conjure_0" \(Conjure\) has no gradient rule/));
    assert.equal(graph.nodes.length, before, "the graph is as it was");
  });

  it("refuses an operator of whose outputs more than the first lead to the loss", () => {
    const graph = new GraphBuilder("statistics");
    const x = graph.input("x", "float32", [2, 3]);
    const [y, , inverse] = graph.node("LayerNormalization", [x, graph.constant([1, 1, 1])], {}, 3, { name: "norm" });
    const loss = graph.reduceSum(graph.mul(y!, inverse!));
    assert.throws(() => differentiate(graph, loss, [x]), refusal(/Node "norm" \(LayerNormalization\).*outputs/));
  });

  it("refuses a loss that is no floating scalar, or does not depend on a parameter", () => {
    const graph = new GraphBuilder("losses");
    const x = graph.input("x", "float32", [3]);
    assert.throws(() => differentiate(graph, x, [x]), refusal(/scalar.*\[3\]/));
    assert.throws(() => differentiate(graph, graph.argMax(x, 0), [x]), refusal(/scalar.*int64/));
    const other = graph.input("other", "float32", [3]);
    assert.throws(() => differentiate(graph, graph.reduceSum(x), [other]), refusal(/"other"/));
    const steps = graph.reduceSum(graph.cast(graph.greater(x, 0), "float32"));
    assert.throws(() => differentiate(graph, steps, [x]), refusal(/does not depend/));
  });

  it("gives 0, not NaN, where distances vanish and hinges are satisfied", async () => {
    const graph = new GraphBuilder("kinks");
    const a = graph.input("a", "float32", [2]);
    const distance = graph.sqrt(graph.reduceSum(graph.mul(a, a)));
    const norm = graph.operator("ReduceL2", [a, graph.constant([0], "int64")], { keepdims: 0 });
    const root = graph.pow(graph.reduceSum(graph.mul(a, a)), 0.5);
    const hinge = graph.relu(graph.reduceSum(a));
    const loss = graph.sum([distance, norm, root, hinge, graph.reduceSum(graph.abs(a))]);
    graph.output(differentiate(graph, loss, [a])[0]!, "gradient");
    const { gradient } = await run(graph, { a: floats(0, 0) });
    assert.deepEqual([...gradient!.data], [0, 0]);
  });

  it("shares the gradient at a tie of max and of reduceMax", async () => {
    const graph = new GraphBuilder("ties");
    const a = graph.input("a", "float32", [3]);
    const loss = graph.add(graph.reduceMax(a), graph.reduceSum(graph.max(a, 2)));
    graph.output(differentiate(graph, loss, [a])[0]!, "gradient");
    const { gradient } = await run(graph, { a: floats(2, 1, 2) });
    assert.deepEqual([...gradient!.data], [1, 0, 1]);
  });

  it("gives second derivatives when applied twice", async () => {
    const graph = new GraphBuilder("twice");
    const a = graph.input("a", "float32", [2]);
    const first = differentiate(graph, graph.reduceSum(graph.pow(a, 3)), [a])[0]!;
    graph.output(differentiate(graph, graph.reduceSum(first), [a])[0]!, "second");
    const { second } = await run(graph, { a: floats(1, 2) });
    assert.deepEqual([...second!.data], [6, 12]);
  });
});

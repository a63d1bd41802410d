import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Dimension, encodeModel, GraphBuilder, type Value } from "../../src/onnx/index.js";
import { openSession, type Tensor } from "../../src/runtime/index.js";

/** Sizes of the input's named dimensions in the run. */
const SIZES = { n: 2, t: 3 };
const X: Tensor = { dtype: "float32", shape: [2, 3, 6], data: new Float32Array(36) };

type Build = (graph: GraphBuilder, shape: Value, x: Value) => Value;
const ints = (graph: GraphBuilder, ...values: number[]) => graph.constant(values, "int64");

/** Integers that graphs compute from the shape (n, t, 6) of an input; each is to be known while building. */
const KNOWN: Record<string, Build> = {
  "a size": (graph, shape) => graph.gather(shape, 1),
  "a size from the end": (graph, shape) => graph.gather(shape, [-1]),
  sums: (graph, shape) => graph.add(graph.add(shape, ints(graph, 1)), ints(graph, 2, -1, 0)),
  "a size less a number, and more again": (graph, shape) => graph.add(graph.sub(shape, ints(graph, 4)), 5),
  "a difference of equals": (graph, shape) => graph.sub(shape, shape),
  products: (graph, shape) => graph.mul(shape, graph.gather(shape, [0])),
  "a product of sums": (graph, shape) => graph.mul(graph.mul(graph.add(shape, 1), 2), graph.add(shape, 1)),
  quotients: (graph, shape) => graph.div(graph.mul(shape, 4), ints(graph, 2)),
  "the size of a head": (graph, shape) => graph.div(graph.gather(shape, 2), 4),
  remainders: (graph) => graph.operator("Mod", [ints(graph, 7, -7, 6), ints(graph, 3)]),
  "remainders of C": (graph) => graph.operator("Mod", [ints(graph, 7, -7, 6), ints(graph, 3)], { fmod: 1 }),
  negatives: (graph, shape) => graph.neg(shape),
  "a joined and cut shape": (graph, shape) => graph.slice(graph.concat([shape, ints(graph, 5)], 0), [1], [4]),
  "a shape backwards": (graph, shape) => graph.slice(shape, [-1], [-(2 ** 40)], [0], [-1]),
  "parts of a shape": (graph, shape) => graph.split(shape, [1, 2])[1]!,
  "all elements": (graph, shape) => graph.operator("ReduceProd", [shape], { keepdims: 0 }),
  "the number of elements": (graph, _, x) => graph.operator("Size", [x]),
  "the shape of a flattened value": (graph, _, x) => graph.shape(graph.reshape(x, [-1, 3])),
  "a shape with -1 replaced by ones": (graph, shape) => {
    const target = graph.concat([graph.slice(shape, [0], [1]), ints(graph, -1), graph.slice(shape, [2], [3])], 0);
    const ones = graph.constantOfShape(graph.shape(target), 1, "int64");
    return graph.where(graph.equal(target, graph.mul(ones, -1)), ones, target);
  },
  "truth values": (graph) => {
    const flags = graph.cast(ints(graph, 5, 0, -1), "bool");
    const other = graph.greater(ints(graph, 1, 2, 3), 2);
    return graph.cast(graph.or(graph.not(flags), graph.and(flags, other)), "int64");
  },
  "a range": (graph) => graph.range(2, 11, 3),
  extremes: (graph) => graph.min(graph.max(ints(graph, 1, 5, 3), 2), 4),
};

/** Nothing is claimed of these: names stand for numbers that only the run knows. */
const UNKNOWN: Record<string, Build> = {
  "a difference of sizes": (graph, shape) => graph.sub(graph.gather(shape, [0]), graph.gather(shape, [1])),
  "half of a size": (graph, shape) => graph.div(graph.gather(shape, [1]), 2),
  "the larger size": (graph, shape) => graph.max(graph.gather(shape, [0]), graph.gather(shape, [1])),
  "a comparison of sizes": (graph, shape) => graph.cast(graph.equal(shape, 2), "int64"),
  "a choice by sizes": (graph, shape) => graph.where(graph.greater(shape, 2), shape, 7),
};

async function run(build: Build): Promise<{ content: readonly Dimension[] | undefined; actual: number[] }> {
  const graph = new GraphBuilder("shapes");
  const x = graph.input("x", "float32", ["n", "t", 6]);
  const value = build(graph, graph.shape(x), x);
  graph.output(value, "y");
  const session = await openSession(encodeModel(graph.model()), { provider: "cpu", threads: 1 });
  const { y } = await session.run({ x: X });
  await session.close();
  return { content: graph.contentOf(value), actual: Array.from(y!.data, Number) };
}

/** The number that a dimension stands for in the run. */
function evaluated(dimension: Dimension): number {
  const { n, t } = SIZES;
  return Number(new Function("n", "t", `return ${dimension}`)(n, t));
}

describe("integers that a graph computes shapes with", () => {
  for (const [name, build] of Object.entries(KNOWN)) {
    it(`are known: ${name}`, async () => {
      const { content, actual } = await run(build);
      assert.deepEqual(content?.map(evaluated), actual);
    });
  }
  for (const [name, build] of Object.entries(UNKNOWN)) {
    it(`are left open: ${name}`, async () => {
      const { content = [], actual } = await run(build);
      for (const [at, dimension] of content.entries()) {
        if (!/number_\d/.test(String(dimension))) assert.equal(evaluated(dimension), actual[at]);
      }
    });
  }

  it("give ranks and sizes to what is laid out by them", () => {
    const graph = new GraphBuilder("layout");
    const x = graph.input("x", "float32", ["n", "t", 6]);
    const size = (axis: number) => graph.unsqueeze(graph.gather(graph.shape(x), axis), [0]);
    const heads = graph.reshape(x, graph.concat([size(0), size(1), ints(graph, 2, -1)], 0));
    assert.deepEqual(heads.shape, ["n", "t", 2, 3]);
    const rows = graph.reshape(x, graph.concat([graph.mul(size(0), size(1)), ints(graph, 6)], 0));
    assert.deepEqual(rows.shape, ["n*t", 6]);
    assert.deepEqual(graph.reshape(rows, graph.shape(x)).shape, ["n", "t", 6]);
    assert.equal(graph.reshape(x, graph.concat([graph.sub(size(0), size(1)), ints(graph, -1)], 0)).shape.length, 2);
    assert.deepEqual(graph.slice(x, [0], [1], [1]).shape, ["n", 1, 6]);
  });

  it("cut a table to the length of an input, where names of dimensions are loose", () => {
    const graph = new GraphBuilder("table");
    const x = graph.input("x", "float32", ["n", "t", 6]);
    const table = graph.input("table", "float32", [9, 6]);
    const length = graph.gather(graph.shape(x), [1]);
    assert.notEqual(graph.slice(table, [0], length, [0]).shape[0], "t");
    graph.looseDimensions = true;
    assert.deepEqual(graph.add(x, graph.slice(table, [0], length, [0])).shape, ["n", "t", 6]);
    const other = graph.input("other", "float32", ["m", "s", 6]);
    assert.deepEqual(graph.add(x, other).shape, ["n", "t", 6]);
    assert.deepEqual(graph.concat([x, other], 2).shape, ["n", "t", 12]);
  });
});

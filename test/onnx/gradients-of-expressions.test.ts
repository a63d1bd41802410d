import { describe, it } from "node:test";
import { checkGradients, type GradientCheck } from "./gradient-check.js";

describe("gradients with symbolic dimensions", () => {
  const cases: [string, GradientCheck["parameters"], GradientCheck["build"]][] = [
    [
      "a bias over a batch",
      [{ shape: [4, 3], declared: ["n", 3] }, { shape: [3] }],
      (graph, [x, bias]) => graph.add(x!, bias!),
    ],
    [
      "a product with weights",
      [{ shape: [2, 2, 3], declared: ["n", "t", 3] }, { shape: [3, 2] }],
      (graph, [x, w]) => graph.matMul(x!, w!),
    ],
    [
      "means and sums that are multiplied, added and reshaped",
      [{ shape: [2, 4, 3], declared: ["n", "t", 3] }, { shape: [3] }],
      (graph, [x, w]) => {
        const mean = graph.reduceMean(graph.mul(x!, w!), [2], true);
        const centred = graph.sub(x!, mean);
        const deviation = graph.sqrt(graph.add(graph.reduceMean(graph.pow(centred, 2), [-1], true), 0.1));
        const pooled = graph.reduceSum(graph.reshape(graph.div(centred, deviation), [0, -1, 3]), [1]);
        return graph.concat([graph.reduceMean(pooled, [1], true), graph.reduceSum(graph.neg(x!), [1])], 1);
      },
    ],
    ["a mean", [{ shape: [4, 3], declared: ["n", 3] }], (graph, [x]) => graph.reduceMean(x!, [0])],
    ["rows gathered", [{ shape: [4, 3], declared: ["n", 3] }], (graph, [x]) => graph.gather(x!, [0, 2, 2])],
    ["columns gathered", [{ shape: [4, 3], declared: ["n", 3] }], (graph, [x]) => graph.gather(x!, [2, 0], 1)],
    ["a slice", [{ shape: [4, 3], declared: ["n", 3] }], (graph, [x]) => graph.slice(x!, [1], [3], [0])],
    [
      "a reshape there and back",
      [{ shape: [4, 6], declared: ["n", 6] }],
      (graph, [x]) => graph.exp(graph.reshape(graph.reshape(x!, [0, 2, 3]), [0, 6])),
    ],
    [
      "parts joined",
      [
        { shape: [2, 3], declared: ["n", 3] },
        { shape: [1, 3], declared: ["m", 3] },
      ],
      (graph, [a, b]) => graph.exp(graph.concat([a!, b!], 0)),
    ],
    [
      "an expansion",
      [{ shape: [3] }, { shape: [2, 3], declared: ["n", 3] }],
      (graph, [a, x]) => graph.mul(graph.expand(a!, graph.shape(x!)), x!),
    ],
    [
      "names of which one stands for 1",
      [
        { shape: [4, 1, 3], declared: ["n", "one", 3] },
        { shape: [4, 2, 3], declared: ["n", "t", 3] },
      ],
      (graph, [a, x]) => {
        graph.looseDimensions = true;
        return graph.mul(graph.exp(x!), a!);
      },
    ],
    [
      "a table cut to a length",
      [{ shape: [5, 3] }, { shape: [2, 4, 3], declared: ["n", "t", 3] }],
      (graph, [table, x]) => {
        graph.looseDimensions = true;
        const length = graph.gather(graph.shape(x!), [1]);
        return graph.mul(graph.slice(table!, [0], length, [0]), x!);
      },
    ],
    [
      "a tiled value",
      [{ shape: [2, 3], declared: ["n", 3] }],
      (graph, [x]) =>
        graph.exp(graph.tile(x!, graph.concat([graph.constant([2], "int64"), graph.constant([1], "int64")], 0))),
    ],
    [
      "an Einsum",
      [{ shape: [2, 2, 3], declared: ["n", "t", 3] }, { shape: [3, 2] }],
      (graph, [x, w]) => graph.operator("Einsum", [x, w], { equation: "nti,io->nto" }),
    ],
  ];
  for (const [name, parameters, build] of cases) it(name, () => checkGradients({ parameters, build }));
});

describe("whole expressions", () => {
  it("a value used several times gathers all its gradients", () =>
    checkGradients({
      parameters: [{ shape: [3] }],
      build: (graph, [x]) => graph.mul(graph.add(graph.mul(x!, x!), graph.exp(x!)), graph.sub(1, x!)),
    }));
  it("cosine similarity through a linear head", () =>
    checkGradients({
      parameters: [{ shape: [4, 3], declared: ["n", 3] }, { shape: [3, 3] }],
      build: (graph, [x, head]) => {
        const y = graph.matMul(x!, head!);
        const unit = graph.div(y, graph.sqrt(graph.reduceSum(graph.mul(y, y), [1], true)));
        return graph.matMul(unit, graph.transpose(unit));
      },
    }));
  it("attention with a mask", () =>
    checkGradients({
      parameters: [{ shape: [2, 3, 4] }, { shape: [4, 4] }, { shape: [4, 4] }],
      build: (graph, [x, query, key]) => {
        const scores = graph.matMul(graph.matMul(x!, query!), graph.transpose(graph.matMul(x!, key!), [0, 2, 1]));
        const seen = graph.greater(graph.constant([1, 1, 0, 1, 1, 1], "float64", [2, 1, 3]), 0.5);
        return graph.matMul(graph.softmax(graph.where(seen, graph.mul(scores, 0.5), -1e9)), x!);
      },
    }));
});

/** Rules that add to what other uses of a weight gave do it inside of their operator. */
describe("a weight used several times gathers the gradients of all its uses", () => {
  const cases: [string, GradientCheck["parameters"], GradientCheck["build"]][] = [
    [
      "in products of matrices, of more rows, and by element",
      [{ shape: [3, 4] }, { shape: [2, 3] }, { shape: [2, 2, 3], declared: ["n", "t", 3] }],
      (graph, [w, x, y]) =>
        graph.add(
          graph.reduceSum(graph.exp(graph.matMul(x!, w!))),
          graph.add(graph.reduceSum(graph.tanh(graph.matMul(y!, w!))), graph.reduceSum(graph.mul(w!, w!))),
        ),
    ],
    ...[false, true].map((transB): [string, GradientCheck["parameters"], GradientCheck["build"]] => [
      `in two Gemm, transB ${transB}`,
      [{ shape: transB ? [4, 3] : [3, 4] }, { shape: [2, 3] }, { shape: [5, 3] }],
      (graph, [w, x, y]) =>
        graph.concat(
          [graph.gemm(x!, w!, undefined, { transB, alpha: 0.5 }), graph.gemm(y!, w!, undefined, { transB })],
          0,
        ),
    ]),
    ...[5, 70].map((rows): [string, GradientCheck["parameters"], GradientCheck["build"]] => [
      `rows picked of a table of ${rows}, some of them twice`,
      [{ shape: [rows, 2, 2] }],
      (graph, [table]) =>
        graph.exp(graph.concat([graph.gather(table!, [3, 0, 3]), graph.gather(table!, [4, -2, 3])], 0)),
    ]),
    [
      "first the same along an axis, then not",
      [{ shape: [3, 4] }, { shape: [2, 3] }],
      (graph, [w, x]) => graph.add(graph.reduceSum(graph.exp(graph.matMul(x!, w!))), graph.reduceSum(w!)),
    ],
  ];
  for (const [name, parameters, build] of cases) it(name, () => checkGradients({ parameters, build }));
});

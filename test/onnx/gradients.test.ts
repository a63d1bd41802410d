import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { differentiableOperators, type GraphBuilder, type Value } from "../../src/onnx/index.js";
import { checkGradients, type Draw, type GradientCheck } from "./gradient-check.js";
import { IMAGE_OPERATORS } from "./image-operators.js";

const positive: Draw = (random) => 0.3 + 2 * random();
/** At least .2 away from 0, so that a finite difference does not step over a kink. */
const offZero: Draw = (random) => (random() < 0.5 ? -1 : 1) * (0.2 + random());
const positions = (graph: GraphBuilder, values: number[], shape = [values.length]) =>
  graph.constant(values, "int64", shape);

/** Pairs of shapes that broadcast in every way: equal, a scalar, missing axes, axes of size 1 on either side. */
const BROADCASTS: [number[], number[]][] = [
  [
    [2, 3],
    [2, 3],
  ],
  [[2, 3], []],
  [[3], [2, 3]],
  [
    [2, 1, 3],
    [4, 1],
  ],
  [
    [1, 3],
    [2, 1],
  ],
];

const checked = new Set<string>();

function check(name: string, opType: string, gradientCheck: GradientCheck): void {
  checked.add(opType);
  it(name, () => checkGradients({ ...gradientCheck, opType }));
}

function unary(opType: string, draw: Draw | undefined, build: (graph: GraphBuilder, x: Value) => Value): void {
  for (const shape of [[], [5], [2, 3]]) {
    check(`${opType} of [${shape}]`, opType, {
      parameters: [{ shape, draw }],
      build: (graph, [x]) => build(graph, x!),
      dtype: ["Erf", "Gelu"].includes(opType) ? "float32" : "float64",
    });
  }
}

function binary(
  opType: string,
  draw: Draw | undefined,
  build: (graph: GraphBuilder, a: Value, b: Value) => Value,
): void {
  for (const [a, b] of BROADCASTS) {
    check(`${opType} of [${a}] and [${b}]`, opType, {
      parameters: [
        { shape: a, draw },
        { shape: b, draw },
      ],
      build: (graph, [left, right]) => build(graph, left!, right!),
      dtype: opType === "Mean" ? "float32" : "float64",
    });
  }
}

describe("gradients equal central finite differences", () => {
  binary("Add", undefined, (graph, a, b) => graph.add(a, b));
  binary("Sub", undefined, (graph, a, b) => graph.sub(a, b));
  binary("Mul", undefined, (graph, a, b) => graph.mul(a, b));
  binary("Div", offZero, (graph, a, b) => graph.div(a, b));
  binary("Pow", positive, (graph, a, b) => graph.pow(a, b));
  binary("Max", undefined, (graph, a, b) => graph.max(a, b));
  binary("Min", undefined, (graph, a, b) => graph.min(a, b));
  binary("Sum", undefined, (graph, a, b) => graph.operator("Sum", [a, b, a]));
  binary("Mean", undefined, (graph, a, b) => graph.operator("Mean", [a, b, b]));
  for (const exponent of [0, 1, 2, 3, 0.5]) {
    check(`Pow with the exponent ${exponent}`, "Pow", {
      parameters: [{ shape: [2, 3], draw: positive }],
      build: (graph, [x]) => graph.pow(x!, exponent),
    });
  }
  check("Where, with a broadcast condition", "Where", {
    parameters: [{ shape: [2, 3] }, { shape: [1] }],
    build: (graph, [a, b]) => graph.where(graph.greater(graph.constant([1, 0, 2], "float64"), 0.5), a!, b!),
  });

  unary("Neg", undefined, (graph, x) => graph.neg(x));
  unary("Abs", offZero, (graph, x) => graph.abs(x));
  unary("Sqrt", positive, (graph, x) => graph.sqrt(x));
  unary("Exp", undefined, (graph, x) => graph.exp(x));
  unary("Log", positive, (graph, x) => graph.log(x));
  unary("Reciprocal", offZero, (graph, x) => graph.reciprocal(x));
  unary("Erf", undefined, (graph, x) => graph.erf(x));
  unary("Sin", undefined, (graph, x) => graph.sin(x));
  unary("Cos", undefined, (graph, x) => graph.cos(x));
  unary("Relu", offZero, (graph, x) => graph.relu(x));
  unary("Sigmoid", undefined, (graph, x) => graph.sigmoid(x));
  unary("Tanh", undefined, (graph, x) => graph.tanh(x));
  unary("Softplus", undefined, (graph, x) => graph.softplus(x));
  unary("Identity", undefined, (graph, x) => graph.identity(x));
  unary("Clip", offZero, (graph, x) => graph.clip(x, -0.7, 0.9));
  for (const approximate of ["none", "tanh"]) {
    unary("Gelu", undefined, (graph, x) => {
      graph.requireOpset(20);
      return graph.operator("Gelu", [x], { approximate });
    });
  }
  unary("CastLike", undefined, (graph, x) => graph.operator("CastLike", [graph.mul(graph.cast(x, "float64"), 2), x]));
  unary("Cast", undefined, (graph, x) => graph.cast(graph.mul(graph.cast(x, "float64"), 2), x.dtype));

  const products: [number[], number[]][] = [
    [
      [2, 3],
      [3, 4],
    ],
    [
      [2, 2, 3],
      [3, 4],
    ],
    [
      [2, 2, 3],
      [2, 3, 4],
    ],
    [
      [2, 3],
      [2, 3, 4],
    ],
    [
      [2, 1, 2, 3],
      [3, 3, 2],
    ],
    [[3], [3, 2]],
    [[2, 3], [3]],
    [[3], [2, 3, 2]],
    [[2, 2, 3], [3]],
    [[3], [3]],
  ];
  for (const [a, b] of products) {
    check(`MatMul of [${a}] and [${b}]`, "MatMul", {
      parameters: [{ shape: a }, { shape: b }],
      build: (graph, [left, right]) => graph.matMul(left!, right!),
    });
  }
  check("MatMul with a transposed operand", "Transpose", {
    parameters: [{ shape: [3, 4] }, { shape: [5, 4] }],
    build: (graph, [a, b]) => graph.matMul(a!, graph.transpose(b!)),
  });
  for (const [transA, transB] of [
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ] as const) {
    check(`Gemm, transA ${transA}, transB ${transB}`, "Gemm", {
      parameters: [{ shape: transA ? [3, 2] : [2, 3] }, { shape: transB ? [4, 3] : [3, 4] }, { shape: [4] }],
      build: (graph, [a, b, c]) => graph.gemm(a!, b!, c!, { alpha: 0.5, beta: 2, transA, transB }),
    });
  }

  const reductions = ["reduceSum", "reduceMean", "reduceMax", "reduceMin", "reduceLogSumExp"] as const;
  for (const method of reductions) {
    const opType = method[0]!.toUpperCase() + method.slice(1);
    for (const [axes, keepDims] of [
      [undefined, false],
      [[0], false],
      [[-1], true],
      [[0, 2], false],
    ] as const) {
      check(`${opType} over [${axes ?? "all"}], keepDims ${keepDims}`, opType, {
        parameters: [{ shape: [2, 3, 2] }],
        build: (graph, [x]) => graph[method](x!, axes, keepDims),
      });
    }
  }
  for (const opType of ["ReduceL2", "ReduceSumSquare"]) {
    check(opType, opType, {
      parameters: [{ shape: [2, 3] }],
      build: (graph, [x]) => graph.operator(opType, [x, graph.constant([1], "int64")], { keepdims: 0 }),
    });
  }
  for (const axis of [0, 1, -1]) {
    check(`Softmax along ${axis}`, "Softmax", {
      parameters: [{ shape: [2, 3, 2] }],
      build: (graph, [x]) => graph.softmax(x!, axis),
    });
    check(`LogSoftmax along ${axis}`, "LogSoftmax", {
      parameters: [{ shape: [2, 3, 2] }],
      build: (graph, [x]) => graph.logSoftmax(x!, axis),
    });
  }
  for (const [exclusive, reverse] of [
    [false, false],
    [true, false],
    [false, true],
  ] as const) {
    check(`CumSum, exclusive ${exclusive}, reverse ${reverse}`, "CumSum", {
      parameters: [{ shape: [2, 4] }],
      build: (graph, [x]) => graph.cumSum(x!, 1, { exclusive, reverse }),
    });
  }
  check("LayerNormalization over the last axis", "LayerNormalization", {
    parameters: [{ shape: [2, 3, 4] }, { shape: [4] }, { shape: [4] }],
    build: (graph, [x, scale, bias]) => graph.layerNormalization(x!, scale!, bias!),
  });
  check("LayerNormalization in float32, whose statistics are the forward pass's", "LayerNormalization", {
    parameters: [{ shape: [2, 3, 4] }, { shape: [4] }, { shape: [4] }],
    build: (graph, [x, scale, bias]) => graph.layerNormalization(x!, scale!, bias!, { epsilon: 0.01 }),
    dtype: "float32",
  });
  check("LayerNormalization over two axes, without bias", "LayerNormalization", {
    parameters: [{ shape: [2, 3, 4] }, { shape: [3, 4] }],
    build: (graph, [x, scale]) => graph.layerNormalization(x!, scale!, undefined, { axis: 1, epsilon: 0.01 }),
  });

  check("Transpose", "Transpose", {
    parameters: [{ shape: [2, 3, 4] }],
    build: (graph, [x]) => graph.transpose(x!, [2, 0, 1]),
  });
  check("Reshape", "Reshape", { parameters: [{ shape: [2, 6] }], build: (graph, [x]) => graph.reshape(x!, [3, -1]) });
  check("Flatten", "Flatten", {
    parameters: [{ shape: [2, 3, 2] }],
    build: (graph, [x]) => graph.operator("Flatten", [x], { axis: 2 }),
  });
  check("Unsqueeze", "Unsqueeze", {
    parameters: [{ shape: [2, 3] }],
    build: (graph, [x]) => graph.unsqueeze(x!, [0, -1]),
  });
  check("Squeeze", "Squeeze", { parameters: [{ shape: [1, 3, 1] }], build: (graph, [x]) => graph.squeeze(x!, [0]) });
  check("Expand", "Expand", { parameters: [{ shape: [3, 1] }], build: (graph, [x]) => graph.expand(x!, [2, 3, 4]) });
  check("Concat, one value twice", "Concat", {
    parameters: [{ shape: [2, 1] }, { shape: [2, 3] }],
    build: (graph, [a, b]) => graph.concat([a!, b!, a!], 1),
  });
  check("Split, with an unused part", "Split", {
    parameters: [{ shape: [2, 6] }],
    build: (graph, [x]) => {
      const [a, , c] = graph.split(x!, [2, 1, 3], 1);
      return graph.concat([graph.exp(c!), a!], 1);
    },
  });
  check("Trilu", "Trilu", {
    parameters: [{ shape: [3, 3] }],
    build: (graph, [x]) => graph.trilu(x!, { upper: false }),
  });

  check("Gather of rows, some twice, one from the end", "Gather", {
    parameters: [{ shape: [4, 3] }],
    build: (graph, [x]) => graph.gather(x!, [1, 3, 1, -1]),
  });
  check("Gather from a large table, some rows twice, one from the end", "Gather", {
    parameters: [{ shape: [70, 2] }],
    build: (graph, [x]) => graph.gather(x!, positions(graph, [0, 69, 0, -2, 33, 69], [2, 3])),
  });
  for (const rows of [3, 70]) {
    check(`Gather from ${rows} rows by int32`, "Gather", {
      parameters: [{ shape: [rows, 2] }],
      build: (graph, [x]) => graph.gather(x!, graph.constant([0, 2, 2], "int32")),
    });
  }
  for (const rows of [4, 70]) {
    check(`Gather of neighbouring ones of ${rows} rows`, "Gather", {
      parameters: [{ shape: [rows, 3] }],
      build: (graph, [x]) => graph.gather(x!, [1, 2]),
    });
  }
  check("Gather of neighbouring columns", "Gather", {
    parameters: [{ shape: [2, 4] }],
    build: (graph, [x]) => graph.gather(x!, [1, 2, 3], 1),
  });
  check("Gather from a large table of no width", "Gather", {
    parameters: [{ shape: [70] }],
    build: (graph, [x]) => graph.gather(x!, positions(graph, [0, 69, 0, -2])),
  });
  check("Gather along the last axis by a matrix of positions", "Gather", {
    parameters: [{ shape: [2, 4] }],
    build: (graph, [x]) => graph.gather(x!, positions(graph, [0, 1, 1, 3], [2, 2]), 1),
  });
  check("Gather of one position", "Gather", {
    parameters: [{ shape: [3, 2] }],
    build: (graph, [x]) => graph.gather(x!, 2),
  });
  check("GatherElements", "GatherElements", {
    parameters: [{ shape: [2, 3] }],
    build: (graph, [x]) => graph.gatherElements(x!, positions(graph, [0, 0, 2, 1, 1, 1], [2, 3]), 1),
  });
  check("TopK", "TopK", { parameters: [{ shape: [2, 5] }], build: (graph, [x]) => graph.topK(x!, 2).values });
  check("Slice along two axes", "Slice", {
    parameters: [{ shape: [4, 5] }],
    build: (graph, [x]) => graph.slice(x!, [1, -4], [3, 4]),
  });
  check("Slice of the middle, ends beyond the last element", "Slice", {
    parameters: [{ shape: [4, 5] }],
    build: (graph, [x]) => graph.slice(x!, [1, 2], [3, 1000], [-2, 1]),
  });
  check("Slice backwards with a step", "Slice", {
    parameters: [{ shape: [2, 5] }],
    build: (graph, [x]) => graph.slice(x!, [-1], [-1000], [1], [-2]),
  });

  check("GatherND of rows, some twice, one from the end", "GatherND", {
    parameters: [{ shape: [2, 3, 2] }],
    build: (graph, [x]) => graph.operator("GatherND", [x, positions(graph, [0, 1, 1, -1, 0, 1], [3, 2])]),
  });
  check("GatherND of single elements", "GatherND", {
    parameters: [{ shape: [2, 3] }],
    build: (graph, [x]) => graph.operator("GatherND", [x, positions(graph, [0, 1, 1, 2], [2, 1, 2])]),
  });
  for (const reduction of ["none", "add"] as const) {
    check(`ScatterElements, reduction ${reduction}`, "ScatterElements", {
      parameters: [{ shape: [2, 3] }, { shape: [2, 2] }],
      build: (graph, [x, updates]) =>
        graph.scatterElements(x!, positions(graph, [2, 0, 1, 0], [2, 2]), updates!, { axis: 1, reduction }),
    });
    check(`ScatterND, reduction ${reduction}`, "ScatterND", {
      parameters: [{ shape: [3, 2] }, { shape: [2, 2] }],
      build: (graph, [x, updates]) =>
        graph.operator("ScatterND", [x, positions(graph, [2, 0], [2, 1]), updates], { reduction }),
    });
  }
  check("Pad, and crop by a negative width", "Pad", {
    parameters: [{ shape: [2, 4] }],
    build: (graph, [x]) => graph.operator("Pad", [x, graph.constant([1, -1, 0, 2], "int64")]),
  });
  check("Pad of one axis", "Pad", {
    parameters: [{ shape: [2, 4] }],
    build: (graph, [x]) =>
      graph.operator("Pad", [x, graph.constant([1, 2], "int64"), undefined, graph.constant([-1], "int64")]),
  });
  check("Tile", "Tile", { parameters: [{ shape: [2, 1, 3] }], build: (graph, [x]) => graph.tile(x!, [2, 3, 1]) });
  const equations: [string, number[][]][] = [
    [
      "bij,bjk->bik",
      [
        [2, 3, 2],
        [2, 2, 4],
      ],
    ],
    [
      "bhid,bhjd->bhij",
      [
        [1, 2, 3, 2],
        [1, 2, 2, 2],
      ],
    ],
    [
      "ij,jk",
      [
        [2, 3],
        [3, 2],
      ],
    ],
    ["ijk->ki", [[2, 3, 2]]],
    ["i,j->ji", [[3], [2]]],
    [
      "bi,ij,bj->b",
      [
        [2, 3],
        [3, 2],
        [2, 2],
      ],
    ],
  ];
  for (const [equation, shapes] of equations) {
    check(`Einsum ${equation}`, "Einsum", {
      parameters: shapes.map((shape) => ({ shape })),
      build: (graph, operands) => graph.operator("Einsum", operands, { equation }),
      dtype: "float64",
    });
  }

  it("covers every rule, other than those of flat functions and of convolutional nets", () => {
    const flat = ["Sign", "Floor", "Ceil", "Round", "ConstantOfShape", "Shape", "Size"];
    assert.deepEqual(
      [...checked].sort(),
      differentiableOperators().filter((opType) => !flat.includes(opType) && !IMAGE_OPERATORS.includes(opType)),
    );
  });
});

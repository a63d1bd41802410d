import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AttuneError } from "../../src/errors/index.js";
import { float16ToNumber } from "../../src/onnx/format/float16.js";
import {
  differentiate,
  GraphBuilder,
  importModel,
  type ModelProto,
  type NodeProto,
  normalizeModel,
  type TensorProto,
  tensorToProto,
  trainableWeights,
} from "../../src/onnx/index.js";
import type { Tensor } from "../../src/runtime/index.js";
import { assertClose, copyOf, outputOf } from "./zoo/check-model.js";
import { ModelWriter } from "./zoo/model-writer.js";

const refusal = (part: RegExp) => (error: unknown) =>
  error instanceof AttuneError && error.code === "invalid_model" && part.test(error.message);

const X: Tensor = { dtype: "float32", shape: [2, 3], data: Float32Array.of(0.5, -1, 2, 0.25, 3, -0.75) };

/** x (n, 3) times a weight (3, 2), and what else the test adds. */
function small(opset = 17, add: (w: ModelWriter, y: string) => string = (_, y) => y): ModelProto {
  const w = new ModelWriter(opset);
  const x = w.input("x", "float32", ["n", 3]);
  w.output(add(w, w.node("MatMul", [x, w.weight("weight", [3, 2])], {}, "product")));
  return w.model();
}

/** The model with its nodes, or other parts of its graph, replaced. */
function withGraph(model: ModelProto, graph: Partial<NonNullable<ModelProto["graph"]>>): ModelProto {
  return { ...model, graph: { ...model.graph, ...graph } };
}

/** The nearest float16 of a number, found among all of them. */
const HALVES = Array.from({ length: 0x7c00 }, (_, bits) => float16ToNumber(bits));
function halfBits(value: number): number {
  const size = Math.abs(value);
  let at = HALVES.findIndex((half) => half >= size);
  if (at < 0) at = HALVES.length - 1;
  if (at > 0 && size - HALVES[at - 1]! < HALVES[at]! - size) at--;
  return value < 0 ? at | 0x8000 : at;
}

function halfTensor(proto: TensorProto): TensorProto {
  if (proto.dataType !== 1) return proto;
  const values = new Float32Array(proto.rawData!.slice().buffer);
  const shape = (proto.dims ?? []).map(Number);
  return tensorToProto(proto.name ?? "", { dtype: "float16", shape, data: Uint16Array.from(values, halfBits) });
}

/** A float32 model as a converter to half precision leaves it: weights, constants, casts, inputs and outputs. */
function halfModel(model: ModelProto): ModelProto {
  const { node = [], initializer = [], input = [], output = [] } = model.graph!;
  const half = (node: NodeProto): NodeProto => ({
    ...node,
    attribute: node.attribute!.map((each) => ({
      ...each,
      ...(each.t === undefined ? {} : { t: halfTensor(each.t) }),
      ...(each.name === "to" && each.i === 1 ? { i: 10 } : {}),
    })),
  });
  const info = (each: (typeof input)[number]) =>
    each.type?.tensorType?.elemType === 1
      ? { ...each, type: { tensorType: { ...each.type.tensorType, elemType: 10 } } }
      : each;
  return withGraph(model, {
    node: node.map(half),
    initializer: initializer.map(halfTensor),
    input: input.map(info),
    output: output.map(info),
  });
}

describe("a normalised model", () => {
  it("of half precision computes in float32, and as the original does", async () => {
    const model = small(17, (w, y) => {
      const scaled = w.node("Mul", [y, w.constant(0.3)]);
      const shifted = w.node("Add", [scaled, w.cast(w.cast(scaled, "int64"), "float32")]);
      return w.node("Softmax", [w.node("Add", [shifted, w.weight("bias", [2])])], { axis: -1 });
    });
    const half = halfModel(
      withGraph(model, { output: [{ ...model.graph!.output![0]!, type: { tensorType: { elemType: 1 } } }] }),
    );
    const bits = Uint16Array.from(X.data as Float32Array, halfBits);
    const original = await outputOf(half, { x: { dtype: "float16", shape: X.shape, data: bits } });
    assert.equal(original.dtype, "float16");
    const normal = normalizeModel(half);
    const result = await outputOf(normal, { x: X });
    assert.equal(result.dtype, "float32");
    const expected = Float32Array.from(original.data as Uint16Array, float16ToNumber);
    assertClose(result, { ...original, dtype: "float32", data: expected }, "float16 and float32", 2e-3);
    assertClose(await outputOf(copyOf(normal, 2), { x: X }), result, "imported");
    assert.deepEqual(
      trainableWeights(normal, [normal.graph!.output![0]!.name!]).map(({ name }) => name),
      ["weight", "bias"],
    );
  });

  it("knows every float16", () => {
    // By the definition: sign, exponent of bias 15, fraction of 10 bits; exponent 0 has no leading 1.
    assert.deepEqual([0x0000, 0x8001, 0x03ff, 0x0400, 0x3c00, 0xc100, 0x7bff, 0x7c00, 0xfc00].map(float16ToNumber), [
      0,
      -(2 ** -24),
      1023 * 2 ** -24,
      2 ** -14,
      1,
      -2.5,
      65504,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
    ]);
    assert.ok(Number.isNaN(float16ToNumber(0x7e00)));
  });

  it("normalises along all axes from the given one on, as softmax did before operator set 13", async () => {
    for (const [opType, axis] of [
      ["Softmax", undefined],
      ["Softmax", 0],
      ["LogSoftmax", 1],
      ["Softmax", 2],
      ["Softmax", -1],
    ] as const) {
      const w = new ModelWriter(11);
      const x = w.input("x", "float32", ["n", 3, 2]);
      w.output(w.node(opType, [x], axis === undefined ? {} : { axis }));
      const feeds = {
        x: { dtype: "float32", shape: [2, 3, 2], data: Float32Array.from({ length: 12 }, (_, at) => Math.sin(at)) },
      } as const;
      const expected = await outputOf(w.model(), feeds);
      const normal = normalizeModel(w.model());
      assertClose(await outputOf(normal, feeds), expected, `${opType} from ${axis}`);
      assertClose(await outputOf(copyOf(normal, 3), feeds), expected, `${opType} from ${axis}, imported`);
    }
  });

  it("takes an attribute of 0 that was not written", async () => {
    const model = small(11, (w, y) => w.node("Softmax", [y], { axis: 0 }));
    const bare = (each: NodeProto) =>
      each.opType === "Softmax" ? { ...each, attribute: [{ name: "axis", type: 2 }] } : each;
    const expected = await outputOf(model, { x: X });
    const normal = normalizeModel(withGraph(model, { node: model.graph!.node!.map(bare) }));
    assertClose(await outputOf(normal, { x: X }), expected, "softmax along everything");
  });

  it("takes lists that were attributes as inputs, and every form of a constant", async () => {
    const w = new ModelWriter(11);
    const x = w.input("x", "float32", ["n", 3]);
    const squeezed = w.node("Squeeze", [w.node("Unsqueeze", [x], { axes: [0, 3] })], { axes: [0] });
    const [first, second] = w.nodes("Split", [w.node("Squeeze", [squeezed], { axes: [2] })], 2, {
      axis: 1,
      split: [1, 2],
    });
    const sums = w.node("ReduceSum", [second!], { axes: [1], keepdims: 1 });
    const largest = w.node("ReduceMax", [x], { axes: [-1], keepdims: 1 });
    const float = w.node("Constant", [], { value_float: { float: 2 } });
    const floats = w.node("Constant", [], { value_floats: { floats: [1, 3] } });
    const shape = w.node("Constant", [], { value_ints: [-1, 1] });
    const zero = w.node("Constant", [], { value_int: 0 });
    const picked = w.node("Mul", [w.node("Gather", [floats, zero]), float]);
    const [dropped] = w.nodes("Dropout", [w.node("Add", [sums, largest])], 1, { ratio: { float: 0.5 } });
    w.output(w.node("Reshape", [w.node("Mul", [w.node("Add", [first!, dropped!]), picked]), shape]));
    const expected = await outputOf(w.model(), { x: X });
    const normal = normalizeModel(w.model());
    assert.ok(normal.graph!.node!.every(({ opType }) => opType !== "Constant" && opType !== "Dropout"));
    assertClose(await outputOf(normal, { x: X }), expected, "normalised");
    assertClose(await outputOf(copyOf(normal, 2), { x: X }), expected, "imported");
  });

  it("has its functions inlined, with their attributes", async () => {
    const call = small(17, (w, y) => w.node("Twice", [y], { factor: { float: 3 } }, "call"));
    const node = call.graph!.node!.map((each) => (each.opType === "Twice" ? { ...each, domain: "local" } : each));
    const scale: NodeProto = {
      opType: "Constant",
      output: ["scale"],
      attribute: [{ name: "value_float", refAttrName: "factor", type: 1 }],
    };
    const inner: NodeProto[] = [scale, { opType: "Mul", input: ["value", "scale"], output: ["scaled"] }];
    const outer: NodeProto = { opType: "Once", domain: "local", input: ["scaled"], output: ["result"] };
    const opsetImport = [
      { domain: "", version: 17 },
      { domain: "local", version: 1 },
    ];
    const functions = [
      {
        name: "Twice",
        domain: "local",
        input: ["value"],
        output: ["result"],
        attribute: ["factor"],
        node: [...inner, outer],
        opsetImport,
      },
      {
        name: "Once",
        domain: "local",
        input: ["scaled"],
        output: ["result"],
        node: [{ opType: "Neg", input: ["scaled"], output: ["result"] }],
        opsetImport,
      },
    ];
    const model = { ...withGraph(call, { node }), functions, opsetImport };
    const expected = await outputOf(model, { x: X });
    const normal = normalizeModel(model);
    assert.deepEqual(
      normal.graph!.node!.map(({ opType }) => opType),
      ["MatMul", "Mul", "Neg"],
    );
    assertClose(await outputOf(copyOf(normal, 2), { x: X }), expected, "inlined");
    const circle = {
      ...functions[1]!,
      node: [{ opType: "Once", domain: "local", input: ["scaled"], output: ["result"] }],
    };
    assert.throws(() => normalizeModel({ ...model, functions: [functions[0]!, circle] }), refusal(/calls itself/));
    const older = { ...functions[1]!, opsetImport: [{ domain: "", version: 13 }] };
    assert.throws(() => normalizeModel({ ...model, functions: [functions[0]!, older] }), refusal(/"Once".*13.*17/));
  });
});

describe("names of a model", () => {
  it("may look like those that further outputs get here", async () => {
    const model = small(17, (w, y) => {
      const odd = w.node("Neg", [y], {}, "halves:1");
      const [first, second] = w.nodes("Split", [odd, w.ints(1, 1)], 2, { axis: 1 }, "halves");
      return w.node("Concat", [second!, first!], { axis: 1 });
    });
    assertClose(await outputOf(copyOf(normalizeModel(model), 2), { x: X }), await outputOf(model, { x: X }), "copy");
  });
});

describe("operators not known here", () => {
  /** x is passed through com.microsoft.Gelu, whose type the model states, and added to the product. */
  function withFused(position: "before the weight" | "after the weight", typed = true): ModelProto {
    const model = small(17, (w, y) => {
      const fused = w.node("Gelu", [position === "after the weight" ? y : "mask"], {}, "fused");
      return w.node("Add", [y, fused]);
    });
    const node = model.graph!.node!.map((each) =>
      each.opType === "Gelu" ? { ...each, domain: "com.microsoft" } : each,
    );
    const type = { tensorType: { elemType: 1, shape: { dim: [{ dimParam: "n" }, { dimValue: 2 }] } } };
    return {
      ...withGraph(model, {
        node,
        input: [...model.graph!.input!, { name: "mask", type }],
        valueInfo: typed ? [{ name: "fused_output_0", type }] : [],
      }),
      opsetImport: [
        { domain: "", version: 17 },
        { domain: "com.microsoft", version: 1 },
        { domain: "com.example", version: 7 },
      ],
    };
  }
  const mask: Tensor = { dtype: "float32", shape: [2, 2], data: Float32Array.of(1, 0, -1, 2) };

  function train(model: ModelProto): void {
    const graph = new GraphBuilder("training");
    const imported = importModel(graph, normalizeModel(model));
    const [output] = imported.outputs.values();
    const before = graph.nodes.length;
    const loss = graph.reduceSum(output!);
    try {
      differentiate(graph, loss, [imported.initializers.get("weight")!]);
    } catch (error) {
      assert.equal(graph.nodes.length, before + 1, "the graph is as it was");
      throw error;
    }
  }

  it("are kept where no gradient passes, with their domain's version", async () => {
    const model = withFused("before the weight");
    const expected = await outputOf(model, { x: X, mask });
    const copy = copyOf(normalizeModel(model), 2);
    assertClose(await outputOf(copy, { x: X, mask }), expected, "imported");
    train(model);
    assert.deepEqual(
      copy.opsetImport!.filter(({ domain }) => domain !== ""),
      [{ domain: "com.microsoft", version: 1 }],
    );
  });

  it("are refused by name where a gradient would pass, before a node is added", () => {
    assert.throws(
      () => train(withFused("after the weight")),
      refusal(/Node "fused" \(com\.microsoft\.Gelu\) has no gradient rule.*without optimisation/),
    );
  });

  it("are refused by name where the model does not state their types", () => {
    assert.throws(
      () => train(withFused("before the weight", false)),
      refusal(/Node "fused" \(com\.microsoft\.Gelu\).*types of its outputs.*without optimisation/),
    );
  });

  it("such as branches are kept with what they read from around them", async () => {
    const type = { tensorType: { elemType: 1, shape: { dim: [{ dimParam: "n" }, { dimValue: 2 }] } } };
    const branch = (name: string, opType: string) => ({
      name,
      // The names inside are those of the outer graph's nodes too.
      node: [{ opType, name: "product", input: ["around_output_0"], output: [`${name}_result`] }],
      output: [{ name: `${name}_result`, type }],
    });
    const model = small(17, (w, y) => {
      const around = w.node("Sigmoid", ["other"], {}, "around");
      const sum = w.node("ReduceSum", [around], { keepdims: 0 }, "sum");
      const condition = w.node("Greater", [sum, w.constant(2)]);
      return w.node("Add", [y, w.node("If", [condition], {}, "choice")]);
    });
    const attribute = [
      { name: "then_branch", type: 5, g: branch("then", "Neg") },
      { name: "else_branch", type: 5, g: branch("else", "Exp") },
    ];
    const node = model.graph!.node!.map((each) => (each.opType === "If" ? { ...each, attribute } : each));
    const whole = withGraph(model, { node, input: [...model.graph!.input!, { name: "other", type }] });
    for (const scale of [1, -1]) {
      const other: Tensor = { ...mask, data: Float32Array.of(scale, scale, scale, 2 * scale) };
      const expected = await outputOf(whole, { x: X, other });
      const copy = copyOf(normalizeModel(whole), 2);
      assertClose(await outputOf(copy, { x: X, other }), expected, "imported");
      assertClose(await outputOf(copyOf(normalizeModel(copy), 2), { x: X, other }), expected, "imported again");
    }
    train(whole);
    const around = node.map((each) => (each.name === "around" ? { ...each, input: ["product_output_0"] } : each));
    assert.throws(
      () => train(withGraph(whole, { node: around })),
      refusal(/Node "choice" \(If\) has no gradient rule/),
    );
  });
});

describe("models that cannot be trained are refused clearly", () => {
  const tensor = (other: Partial<TensorProto>): ModelProto => {
    const model = small();
    return withGraph(model, { initializer: [{ ...model.graph!.initializer![0]!, ...other }] });
  };
  const external = {
    rawData: undefined,
    dataLocation: 1,
    externalData: [{ key: "location", value: "model.onnx_data" }],
  };
  const cases: [string, RegExp, () => unknown][] = [
    ["an operator set too old", /operator set 10; versions 11 to 24/, () => normalizeModel(small(10))],
    ["an operator set not known yet", /operator set 25/, () => normalizeModel(small(25))],
    [
      "no operator set",
      /does not say/,
      () => normalizeModel({ ...small(), opsetImport: [{ domain: "a", version: 1 }] }),
    ],
    [
      "data in another file",
      /"weight".*"model\.onnx_data".*save_as_external_data=False/,
      () => normalizeModel(tensor(external)),
    ],
    ["data of the wrong length", /"weight".*\[4, 2\].*6 elements/, () => normalizeModel(tensor({ dims: [4, 2] }))],
    ["bfloat16", /"weight".*bfloat16/, () => normalizeModel(tensor({ dataType: 16 }))],
    ["sparse weights", /sparse/, () => normalizeModel(withGraph(small(), { sparseInitializer: [{}] }))],
    [
      "quantised weights",
      /Node "q" \(DequantizeLinear\).*float32 export/,
      () => normalizeModel(small(17, (w, y) => w.node("DequantizeLinear", [y, y], {}, "q"))),
    ],
    [
      "quantised products",
      /\(MatMulIntegerToFloat\).*quantised/,
      () => normalizeModel(small(17, (w, y) => w.node("MatMulIntegerToFloat", [y], {}, "q"))),
    ],
    [
      "an output of unknown rank",
      /Node "lay" \(Reshape\).*rank/,
      () => {
        const w = new ModelWriter(17);
        w.output(w.node("Reshape", [w.input("x", "float32", ["n", 3]), w.input("shape", "int64", ["r"])], {}, "lay"));
        importModel(new GraphBuilder("rank"), normalizeModel(w.model()));
      },
    ],
    [
      "no weights to train",
      /no weights to train/,
      () => {
        const w = new ModelWriter(17);
        const x = w.input("x", "float32", ["n", 3]);
        const steps = w.node("Sign", [w.node("Add", [x, w.weight("weight", [3])])], {}, "steps");
        w.output(w.node("Mul", [w.node("Exp", [x]), steps], {}, "y"));
        trainableWeights(normalizeModel(w.model()), ["y_output_0"]);
      },
    ],
    [
      "an output that there is not",
      /no output "other"; it has product_output_0/,
      () => trainableWeights(normalizeModel(small()), ["other"]),
    ],
    [
      "a value that nothing gives",
      /"nothing", which no node/,
      () => importModel(new GraphBuilder("hole"), normalizeModel(small(17, (w, y) => w.node("Add", [y, "nothing"])))),
    ],
    [
      "a value of the wrong type for an input",
      /input "x" is float32 of rank 2; got "ids", int64 of rank 1/,
      () => {
        const graph = new GraphBuilder("inputs");
        importModel(graph, normalizeModel(small()), { inputs: { x: graph.input("ids", "int64", ["n"]) } });
      },
    ],
    [
      "an input that is no tensor",
      /input "x" is no tensor/,
      () =>
        importModel(
          new GraphBuilder("sequence"),
          normalizeModel(withGraph(small(), { input: [{ name: "x", type: {} }] })),
        ),
    ],
  ];
  for (const [name, part, attempt] of cases) it(name, () => assert.throws(attempt, refusal(part)));
});

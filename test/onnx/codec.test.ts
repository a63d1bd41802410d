import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AttuneError } from "../../src/errors/index.js";
import {
  decodeModel,
  encodeModel,
  GraphBuilder,
  int64Of,
  int64ToBigInt,
  int64ToNumber,
  type ModelProto,
  type TensorProto,
  tensorOfProto,
  tensorToProto,
} from "../../src/onnx/index.js";
import { generator } from "./gradient-check.js";

const isInvalidModel = (error: unknown) => error instanceof AttuneError && error.code === "invalid_model";
const text = (value: string) => Buffer.from(value, "utf8");

/** A model with every field of the schema. */
function everything(): ModelProto {
  const entry = [{ key: "key", value: "value" }];
  const tensor: TensorProto = {
    dims: [2, 3],
    dataType: 1,
    segment: { begin: 1, end: 2 },
    floatData: [0.5, -1.5],
    int32Data: [-7, 7],
    stringData: [text("a"), text("ß")],
    int64Data: [1, 2],
    name: "tensor",
    docString: "doc",
    rawData: Buffer.from([1, 2, 3]),
    externalData: entry,
    dataLocation: 1,
    doubleData: [0.1],
    uint64Data: [3],
    metadataProps: entry,
  };
  const sparse = { values: tensor, indices: tensor, dims: [9] };
  const shape = { dim: [{ dimValue: 4, denotation: "BATCH" }, { dimParam: "n" }] };
  const types = [
    { tensorType: { elemType: 1, shape }, denotation: "TENSOR" },
    { sequenceType: { elemType: { tensorType: { elemType: 7 } } } },
    { mapType: { keyType: 8, valueType: { tensorType: { elemType: 1 } } } },
    { sparseTensorType: { elemType: 1, shape } },
    { optionalType: { elemType: { tensorType: { elemType: 1 } } } },
    { opaqueType: { domain: "d", name: "n" } },
  ];
  const valueInfo = types.map((type, at) => ({ name: `v${at}`, type, docString: "doc", metadataProps: entry }));
  const attribute = {
    name: "all",
    refAttrName: "ref",
    docString: "doc",
    type: 2,
    f: 0.25,
    i: -3,
    s: text("s"),
    t: tensor,
    g: { name: "inner" },
    sparseTensor: sparse,
    tp: types[0]!,
    floats: [1.5, 2.5],
    ints: [1, -1],
    strings: [text("x")],
    tensors: [tensor],
    graphs: [{ name: "inner" }],
    sparseTensors: [sparse],
    typeProtos: types,
  };
  const node = {
    input: ["a", "", "b"],
    output: ["c"],
    name: "node",
    opType: "Op",
    domain: "custom",
    overload: "o",
    attribute: [attribute],
    docString: "doc",
    metadataProps: entry,
  };
  const graph = {
    node: [node],
    name: "graph",
    initializer: [tensor],
    sparseInitializer: [sparse],
    docString: "doc",
    input: valueInfo,
    output: valueInfo,
    valueInfo,
    quantizationAnnotation: [{ tensorName: "tensor", quantParameterTensorNames: entry }],
    metadataProps: entry,
  };
  return {
    irVersion: 10,
    opsetImport: [{ domain: "", version: 21 }],
    producerName: "p",
    producerVersion: "1",
    domain: "d",
    modelVersion: 5,
    docString: "doc",
    graph,
    metadataProps: entry,
    trainingInfo: [{ initialization: graph, algorithm: graph, initializationBinding: entry, updateBinding: entry }],
    functions: [
      {
        name: "f",
        input: ["x"],
        output: ["y"],
        attribute: ["a"],
        attributeProto: [attribute],
        node: [node],
        docString: "doc",
        opsetImport: [{ domain: "", version: 21 }],
        domain: "custom",
        overload: "o",
        valueInfo,
        metadataProps: entry,
      },
    ],
  };
}

/** Every field that was written is read again; lists that were absent are read as empty. */
function assertContains(actual: unknown, expected: unknown, path = "model"): void {
  if (expected instanceof Uint8Array) {
    assert.deepEqual(Buffer.from(actual as Uint8Array), Buffer.from(expected), path);
  } else if (typeof expected === "object" && expected !== null) {
    for (const [key, value] of Object.entries(expected)) {
      assertContains((actual as Record<string, unknown>)[key], value, `${path}.${key}`);
    }
  } else if (typeof expected === "number") {
    const number =
      typeof actual === "object" ? int64ToNumber(actual as { low: number; high: number; unsigned: boolean }) : actual;
    assert.equal(number, expected, path);
  } else {
    assert.equal(actual, expected, path);
  }
}

describe("the codec", () => {
  it("keeps every field of every message", () => {
    const model = everything();
    const bytes = encodeModel(model);
    assertContains(decodeModel(bytes), model);
    assert.deepEqual(encodeModel(decodeModel(bytes)), bytes);
  });

  it("reads bytes laid out by hand as protobuf's encoding says", () => {
    // ir_version (1) = 8; graph (7) = { name (2) = "g" }; opset_import (8) = { version (2) = 18 }.
    const bytes = Uint8Array.from([0x08, 8, 0x3a, 3, 0x12, 1, 0x67, 0x42, 2, 0x10, 18]);
    const model = decodeModel(bytes);
    assert.equal(int64ToNumber(model.irVersion!), 8);
    assert.equal(model.graph?.name, "g");
    assert.equal(int64ToNumber(model.opsetImport![0]!.version!), 18);
    assert.deepEqual(
      encodeModel({ irVersion: 8, graph: { name: "g" }, opsetImport: [{ version: 18 }] }),
      Buffer.from(bytes),
    );
  });

  it("keeps fields it does not know, at the top and inside", () => {
    // Field 100 as a string, in the graph and in the model.
    const unknown = [0xa2, 0x06, 2, 0x68, 0x69];
    const bytes = Uint8Array.from([0x08, 8, 0x3a, 8, 0x12, 1, 0x67, ...unknown, 0x42, 2, 0x10, 18, ...unknown]);
    assert.deepEqual(encodeModel(decodeModel(bytes)), Buffer.from(bytes));
  });

  it("leaves tensor data where it lies", () => {
    const graph = new GraphBuilder("g");
    const weights = graph.initializer("w", { dtype: "float32", shape: [3], data: Float32Array.of(1, 2, 3) });
    graph.output(graph.exp(weights), "y");
    const bytes = encodeModel(graph.model());
    const tensor = decodeModel(bytes).graph!.initializer![0]!;
    assert.equal(tensor.rawData!.buffer, bytes.buffer);
    assert.deepEqual([...tensorOfProto(tensor).data], [1, 2, 3]);
  });

  it("refuses every prefix of a model, and what is no model", () => {
    const graph = new GraphBuilder("g");
    graph.output(graph.exp(graph.input("x", "float32", ["n"])), "y");
    const bytes = encodeModel(graph.model());
    for (let length = 0; length < bytes.length; length++) {
      assert.throws(() => decodeModel(bytes.subarray(0, length)), isInvalidModel, `prefix of ${length} bytes`);
    }
    assert.throws(() => decodeModel(text('{"model": true}')), isInvalidModel);
    assert.throws(() => decodeModel(new Uint8Array(1000)), isInvalidModel);
    const random = generator(Number(process.env.ATTUNE_SEED ?? 1));
    for (let round = 0; round < 200; round++) {
      const noise = Uint8Array.from({ length: 64 }, () => Math.floor(256 * random()));
      assert.throws(() => decodeModel(noise), isInvalidModel);
    }
  });

  it("refuses to write more than protobuf's 2 GiB", () => {
    // One untouched buffer, named four times: the length adds up without the memory being used.
    const rawData = new Uint8Array(2 ** 29);
    const initializer = ["a", "b", "c", "d"].map((name) => ({ name, rawData }));
    assert.throws(() => encodeModel({ irVersion: 8, graph: { initializer } }), isInvalidModel);
  });
});

describe("64-bit integers", () => {
  it("are exact at both ends", () => {
    for (const value of [0n, -1n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)]) {
      const model = decodeModel(encodeModel({ irVersion: int64Of(value), graph: {}, opsetImport: [{ version: 1 }] }));
      assert.equal(int64ToBigInt(model.irVersion!), value);
    }
    assert.equal(int64ToBigInt(int64Of(2n ** 64n - 1n, true)), 2n ** 64n - 1n);
  });
});

describe("tensor messages", () => {
  it("are read from typed fields and from raw data alike", () => {
    const cases: [TensorProto, (number | bigint)[]][] = [
      [{ dims: [2], dataType: 1, floatData: [0.5, -2] }, [0.5, -2]],
      [{ dims: [2], dataType: 11, doubleData: [0.1, 2] }, [0.1, 2]],
      [{ dims: [2], dataType: 7, int64Data: [int64Of(2n ** 62n), -5] }, [2n ** 62n, -5n]],
      [{ dims: [2], dataType: 6, int32Data: [-5, 5] }, [-5, 5]],
      [{ dims: [2], dataType: 9, int32Data: [1, 0] }, [1, 0]],
      [{ dims: [1], dataType: 10, int32Data: [15360] }, [15360]],
      [{ dims: [1], dataType: 13, uint64Data: [7] }, [7n]],
      [{ dims: [], dataType: 3, rawData: Buffer.from([0xff]) }, [-1]],
      [{ dims: [1], dataType: 1, rawData: Buffer.from([9, 0, 0, 0x80, 0x3f]).subarray(1) }, [1]],
      [{ dims: [0], dataType: 1 }, []],
    ];
    for (const [proto, expected] of cases) assert.deepEqual([...tensorOfProto(proto).data], expected);
  });

  it("are refused when data and shape do not fit, or the data is elsewhere", () => {
    assert.throws(() => tensorOfProto({ dims: [3], dataType: 1, floatData: [1] }), isInvalidModel);
    assert.throws(() => tensorOfProto({ dims: [1], dataType: 1, rawData: Buffer.from([1, 2, 3]) }), isInvalidModel);
    assert.throws(() => tensorOfProto({ dims: [1], dataType: 8, stringData: [text("x")] }), isInvalidModel);
    assert.throws(() => tensorOfProto({ dims: [1], dataType: 1, dataLocation: 1 }), isInvalidModel);
    assert.throws(
      () => tensorToProto("x", { dtype: "float32", shape: [2], data: new Float32Array(3) }),
      isInvalidModel,
    );
    assert.throws(() => tensorToProto("x", { dtype: "int64", shape: [2], data: new Float32Array(2) }), isInvalidModel);
  });
});

import { elementsOf } from "../../../src/onnx/format/data-type.js";
import { ATTRIBUTE_TYPE } from "../../../src/onnx/format/proto.js";
import {
  type AttributeProto,
  type DataType,
  type ModelProto,
  type NodeProto,
  type TensorData,
  type TensorProto,
  tensorToProto,
  type ValueInfoProto,
} from "../../../src/onnx/index.js";
import { generator } from "../gradient-check.js";

const TYPE_CODES = { float32: 1, int64: 7, bool: 9, float16: 10 } as const;

type Attribute =
  | number
  | string
  | readonly number[]
  | { float: number }
  | { floats: number[] }
  | { tensor: TensorData };

/** What an attention layer's weights are drawn with, so that a small model is neither flat nor saturated. */
const SPREAD = 0.4;

/**
 * Writes a model message node by node, as an exporter does: by operator names, in the form of any operator set, with nothing checked
 * or inferred. So models are laid out just as they are met in the wild.
 */
export class ModelWriter {
  readonly #nodes: NodeProto[] = [];
  readonly #initializers: TensorProto[] = [];
  readonly #inputs: ValueInfoProto[] = [];
  readonly #outputs: ValueInfoProto[] = [];
  readonly #random: () => number;
  readonly #weights = new Map<string, number[]>();
  #count = 0;

  constructor(
    readonly opset: number,
    seed = 1,
  ) {
    this.#random = generator(seed);
  }

  /** Names and shapes of the weights. */
  get weights(): ReadonlyMap<string, readonly number[]> {
    return this.#weights;
  }

  input(name: string, dtype: keyof typeof TYPE_CODES, shape: readonly (number | string)[]): string {
    this.#inputs.push(valueInfo(name, TYPE_CODES[dtype], shape));
    return name;
  }

  output(name: string, shape?: readonly (number | string)[]): void {
    this.#outputs.push(shape === undefined ? { name } : valueInfo(name, TYPE_CODES.float32, shape));
  }

  /** A weight of random numbers around a centre. The same name gives the same weight again. */
  weight(name: string, shape: number[], centre = 0, spread = SPREAD): string {
    if (this.#weights.has(name)) return name;
    const length = shape.reduce((product, size) => product * size, 1);
    const data = Float32Array.from({ length }, () => centre + spread * (2 * this.#random() - 1));
    this.#weights.set(name, shape);
    this.#initializers.push(tensorToProto(name, { dtype: "float32", shape, data }));
    return name;
  }

  /** A stored tensor that is no weight, as a buffer of positions is. */
  buffer(name: string, dtype: DataType, shape: number[], values: number[]): string {
    this.#initializers.push(tensorToProto(name, { dtype, shape, data: elementsOf(dtype, values) }));
    return name;
  }

  /** A Constant node, as torch writes for every literal; a single number is a scalar. */
  constant(value: number | readonly number[], dtype: DataType = "float32"): string {
    const values = typeof value === "number" ? [value] : value;
    const shape = typeof value === "number" ? [] : [values.length];
    return this.node("Constant", [], { value: { tensor: { dtype, shape, data: elementsOf(dtype, values) } } });
  }

  ints(...values: number[]): string {
    return this.constant(values, "int64");
  }

  /** Adds a node, and gives the name of its first output. */
  node(opType: string, input: readonly string[], attributes: Record<string, Attribute> = {}, name?: string): string {
    return this.nodes(opType, input, 1, attributes, name)[0]!;
  }

  /** Adds a node with several outputs. */
  nodes(
    opType: string,
    input: readonly string[],
    count: number,
    attributes: Record<string, Attribute> = {},
    name = `/model/${opType}_${this.#count++}`,
  ): string[] {
    const output = Array.from({ length: count }, (_, at) => `${name}_output_${at}`);
    const attribute = Object.entries(attributes).map(([key, value]) => attributeProto(key, value));
    this.#nodes.push({ name, opType, input: [...input], output, attribute });
    return output;
  }

  /** Dimension of a value as torch reads it: Shape, then Gather of a scalar position. */
  size(x: string, axis: number): string {
    return this.node("Gather", [this.node("Shape", [x]), this.constant(axis, "int64")], { axis: 0 });
  }

  /** Sizes joined to a shape: scalars are unsqueezed, numbers are constants. */
  shape(...sizes: (string | number)[]): string {
    const parts = sizes.map((size) => (typeof size === "number" ? this.ints(size) : this.unsqueeze(size, [0])));
    return this.node("Concat", parts, { axis: 0 });
  }

  reshape(x: string, ...sizes: (string | number)[]): string {
    return this.node("Reshape", [x, this.shape(...sizes)]);
  }

  unsqueeze(x: string, axes: number[]): string {
    return this.opset < 13 ? this.node("Unsqueeze", [x], { axes }) : this.node("Unsqueeze", [x, this.ints(...axes)]);
  }

  reduceMean(x: string, axes: number[]): string {
    return this.opset < 18
      ? this.node("ReduceMean", [x], { axes, keepdims: 1 })
      : this.node("ReduceMean", [x, this.ints(...axes)], { keepdims: 1 });
  }

  reduceSum(x: string, axes: number[], keepdims = 1): string {
    return this.opset < 13
      ? this.node("ReduceSum", [x], { axes, keepdims })
      : this.node("ReduceSum", [x, this.ints(...axes)], { keepdims });
  }

  cast(x: string, dtype: keyof typeof TYPE_CODES): string {
    return this.node("Cast", [x], { to: TYPE_CODES[dtype] });
  }

  model(): ModelProto {
    return {
      irVersion: 8,
      producerName: "writer",
      opsetImport: [{ domain: "", version: this.opset }],
      graph: {
        name: "main_graph",
        node: this.#nodes,
        initializer: this.#initializers,
        input: this.#inputs,
        output: this.#outputs,
      },
    };
  }
}

function valueInfo(name: string, elemType: number, shape: readonly (number | string)[]): ValueInfoProto {
  const dim = shape.map((size) => (typeof size === "number" ? { dimValue: size } : { dimParam: size }));
  return { name, type: { tensorType: { elemType, shape: { dim } } } };
}

function attributeProto(name: string, value: Attribute): AttributeProto {
  if (typeof value === "number") return { name, type: ATTRIBUTE_TYPE.int, i: value };
  if (typeof value === "string") return { name, type: ATTRIBUTE_TYPE.string, s: Buffer.from(value) };
  if ("float" in value) return { name, type: ATTRIBUTE_TYPE.float, f: value.float };
  if ("floats" in value) return { name, type: ATTRIBUTE_TYPE.floats, floats: value.floats };
  if ("tensor" in value) return { name, type: ATTRIBUTE_TYPE.tensor, t: tensorToProto("", value.tensor) };
  return { name, type: ATTRIBUTE_TYPE.ints, ints: [...value] };
}

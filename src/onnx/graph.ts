import { AttuneError } from "../errors/index.js";
import { attributeToProto } from "./attribute.js";
import { type DataType, dataTypeCode, elementsOf, type TypedArray } from "./data-type.js";
import { inferenceOf, OperatorContext } from "./operators/index.js";
import type { ModelProto, NodeProto, ValueInfoProto } from "./proto.js";
import { type Dimension, formatShape, type Shape } from "./shape.js";
import { type TensorData, tensorToProto } from "./tensor-proto.js";
import type { Attributes, GraphNode, Value, ValueType } from "./value.js";

/** Integer tensors of more elements are data, not shapes or axes, and are not followed while building. */
const MAX_CONTENT = 64;
/** Small constants are shared, so that every `0.5` of a graph is one initializer. */
const MAX_SHARED_CONSTANT = 16;

export interface GraphOptions {
  /** Version of the ONNX operator set. @default 18 */
  readonly opset?: number;
}

export interface NodeOptions {
  /** @default the operator's type and a number */
  readonly name?: string;
  /** Domain of the operator. @default "" (ONNX's own) */
  readonly domain?: string;
}

/** The nodes and values of one graph under construction: names, types and wiring. `GraphBuilder` adds a method per operator. */
export class Graph {
  readonly opset: number;
  readonly #inputs: Value[] = [];
  readonly #initializers = new Map<string, TensorData>();
  readonly #nodes: GraphNode[] = [];
  readonly #values = new Map<string, Value>();
  readonly #producers = new Map<string, GraphNode>();
  readonly #contents = new Map<string, readonly Dimension[]>();
  readonly #constants = new Map<string, Value>();
  readonly #outputs = new Map<string, Value>();
  readonly #taken = new Set<string>();
  readonly #counters = new Map<string, number>();
  #prefix = "";

  constructor(
    readonly name: string,
    options: GraphOptions = {},
  ) {
    this.opset = options.opset ?? 18;
    if (!Number.isInteger(this.opset) || this.opset < 18 || this.opset > 24) {
      throw new AttuneError("invalid_model", `Graphs are built for operator sets 18 to 24; got ${options.opset}.`);
    }
  }

  /** The nodes in the order they were added, which is a topological one. */
  get nodes(): readonly GraphNode[] {
    return this.#nodes;
  }

  /** The node that gives a value, or undefined for inputs, initializers and constants. */
  producerOf(value: Value): GraphNode | undefined {
    return this.#producers.get(value.name);
  }

  /** The elements of an integer value of rank 0 or 1 where they are known while building. */
  contentOf(value: Value): readonly Dimension[] | undefined {
    return this.#contents.get(value.name);
  }

  /** The data of an initializer or constant. */
  dataOf(value: Value): TensorData | undefined {
    return this.#initializers.get(value.name);
  }

  /**
   * A tensor that is fed at every run. Symbolic dimensions are strings.
   * @throws invalid_model when the name is taken or a dimension is negative
   */
  input(name: string, dtype: DataType, shape: Shape): Value {
    for (const size of shape) {
      if (typeof size === "number" && !(Number.isInteger(size) && size >= 0)) {
        throw new AttuneError("invalid_model", `The input "${name}" has the impossible shape ${formatShape(shape)}.`);
      }
    }
    const value = this.#define(this.#reserve(name), { dtype, shape });
    this.#inputs.push(value);
    return value;
  }

  /**
   * A tensor stored in the model, such as a weight. The data is not copied.
   * @throws invalid_model when the name is taken or the data does not fit the shape
   */
  initializer(name: string, tensor: TensorData): Value {
    tensorToProto(name, tensor);
    const content =
      tensor.shape.length <= 1 && tensor.data.length <= MAX_CONTENT && tensor.dtype.startsWith("int")
        ? Array.from(tensor.data, Number)
        : undefined;
    const value = this.#define(this.#reserve(name), { dtype: tensor.dtype, shape: tensor.shape, content });
    this.#initializers.set(value.name, tensor);
    return value;
  }

  /**
   * A constant: a number is a scalar, a list a vector unless a shape is given. Equal small constants are one.
   * @throws invalid_model when the data does not fit the shape
   */
  constant(value: number | readonly number[], dtype: DataType = "float32", shape?: readonly number[]): Value {
    const values = typeof value === "number" ? [value] : value;
    const dimensions = shape ?? (typeof value === "number" ? [] : [values.length]);
    // Object.is tells -0 from 0, and so must the key.
    const key = `${dtype}[${dimensions}]${values.map((each) => (Object.is(each, -0) ? "-0" : each))}`;
    const known = values.length <= MAX_SHARED_CONSTANT ? this.#constants.get(key) : undefined;
    if (known !== undefined) return known;
    const data: TypedArray = elementsOf(dtype, values);
    const constant = this.initializer(this.#fresh("constant", ""), { dtype, shape: dimensions, data });
    if (values.length <= MAX_SHARED_CONSTANT) this.#constants.set(key, constant);
    return constant;
  }

  /** Names of nodes made by `build` begin with `name/`, which also nests; names of inputs and initializers stay as given. */
  scope<Result>(name: string, build: () => Result): Result {
    const outer = this.#prefix;
    this.#prefix = `${outer}${name}/`;
    try {
      return build();
    } finally {
      this.#prefix = outer;
    }
  }

  /**
   * Adds a node. Types of the outputs are inferred; for an operator unknown here they are given. A number of outputs keeps
   * only the first ones of an operator with optional outputs.
   * @throws invalid_model naming the node, when inputs, attributes or types do not fit
   */
  node(
    opType: string,
    inputs: readonly (Value | undefined)[],
    attributes: Attributes = {},
    outputs?: number | readonly ValueType[],
    options: NodeOptions = {},
  ): Value[] {
    const { domain = "" } = options;
    const name = options.name === undefined ? this.#fresh(opType) : this.#reserve(`${this.#prefix}${options.name}`);
    for (const input of inputs) this.#check(input, name, opType);
    const types = this.#outputTypes(name, opType, domain, inputs, attributes, outputs);
    const values = types.map((type, at) => this.#define(at === 0 ? name : this.#reserve(`${name}:${at}`), type));
    const node: GraphNode = { name, opType, domain, inputs, outputs: values, attributes };
    this.#nodes.push(node);
    for (const value of values) this.#producers.set(value.name, node);
    return values;
  }

  /** Adds a node whose first output is all that is used. @throws invalid_model as `node` */
  operator(opType: string, inputs: readonly (Value | undefined)[], attributes: Attributes = {}): Value {
    const [first] = this.node(opType, inputs, attributes, 1);
    if (first === undefined) throw new AttuneError("invalid_model", `The operator ${opType} has no output.`);
    return first;
  }

  /**
   * Makes a value an output of the model, under its own or another name.
   * @throws invalid_model when the name is taken or the value belongs to another graph
   */
  output(value: Value, name: string = value.name): Value {
    this.#check(value, name, "output");
    const renamable = this.producerOf(value) !== undefined && ![...this.#outputs.values()].includes(value);
    const result = renamable ? value : this.operator("Identity", [value]);
    if (name !== result.name) this.#reserve(name);
    this.#outputs.set(name, result);
    return result;
  }

  /**
   * The model, holding what its outputs need.
   * @throws invalid_model when it has no output
   */
  model(): ModelProto {
    if (this.#outputs.size === 0) {
      throw new AttuneError("invalid_model", `The graph "${this.name}" has no output; call output(value) first.`);
    }
    const { nodes, used } = this.#reachable();
    const names = new Map([...this.#outputs].map(([name, value]) => [value.name, name]));
    const finalName = (value: Value | undefined) => (value === undefined ? "" : (names.get(value.name) ?? value.name));
    const domains = new Set(nodes.map((node) => node.domain).filter((domain) => domain !== ""));
    return {
      irVersion: this.opset >= 21 ? 10 : this.opset >= 19 ? 9 : 8,
      producerName: "attune",
      opsetImport: [{ domain: "", version: this.opset }, ...[...domains].map((domain) => ({ domain, version: 1 }))],
      graph: {
        name: this.name,
        node: nodes.map((node) => nodeToProto(node, finalName)),
        initializer: [...this.#initializers]
          .filter(([name]) => used.has(name))
          .map(([name, tensor]) => tensorToProto(name, tensor)),
        input: this.#inputs.map((value) => valueInfo(value.name, value)),
        output: [...this.#outputs].map(([name, value]) => valueInfo(name, value)),
      },
    };
  }

  /** The nodes that outputs depend on, and the names of all values these read. */
  #reachable(): { nodes: GraphNode[]; used: Set<string> } {
    const used = new Set([...this.#outputs.values()].map((value) => value.name));
    const nodes: GraphNode[] = [];
    for (const node of this.#nodes.toReversed()) {
      if (!node.outputs.some((value) => used.has(value.name))) continue;
      nodes.push(node);
      for (const input of node.inputs) if (input !== undefined) used.add(input.name);
    }
    return { nodes: nodes.reverse(), used };
  }

  #outputTypes(
    name: string,
    opType: string,
    domain: string,
    inputs: readonly (Value | undefined)[],
    attributes: Attributes,
    outputs: number | readonly ValueType[] | undefined,
  ): readonly ValueType[] {
    if (typeof outputs === "object") return outputs;
    const infer = domain === "" ? inferenceOf(opType) : undefined;
    if (infer === undefined) {
      throw new AttuneError(
        "invalid_model",
        `Node "${name}" (${opType}): the operator is not known here; give the types of its outputs.`,
      );
    }
    const fresh = () => this.#fresh("unknown", "");
    return infer(new OperatorContext(name, opType, inputs, attributes, this.#contents, fresh)).slice(0, outputs);
  }

  #check(value: Value | undefined, name: string, opType: string): void {
    if (value !== undefined && this.#values.get(value.name) !== value) {
      throw new AttuneError(
        "invalid_model",
        `Node "${name}" (${opType}): "${value.name}" is no value of the graph "${this.name}".`,
      );
    }
  }

  #define(name: string, type: ValueType): Value {
    const value: Value = { name, dtype: type.dtype, shape: type.shape };
    this.#values.set(name, value);
    if (type.content !== undefined && type.shape.length <= 1 && type.content.length <= MAX_CONTENT) {
      this.#contents.set(name, type.content);
    }
    return value;
  }

  #reserve(name: string): string {
    if (name === "" || this.#taken.has(name)) {
      throw new AttuneError(
        "invalid_model",
        `The name "${name}" is ${name === "" ? "empty" : "taken"} in the graph "${this.name}".`,
      );
    }
    this.#taken.add(name);
    return name;
  }

  /** A name nobody has: the hint and a number; not yet reserved for constants, whose definition does that. */
  #fresh(hint: string, prefix = this.#prefix): string {
    const stem = `${prefix}${hint}`;
    let count = this.#counters.get(stem) ?? 0;
    while (this.#taken.has(`${stem}_${count}`)) count++;
    this.#counters.set(stem, count + 1);
    const name = `${stem}_${count}`;
    return hint === "constant" ? name : this.#reserve(name);
  }
}

function nodeToProto(node: GraphNode, nameOf: (value: Value | undefined) => string): NodeProto {
  const attribute = Object.entries(node.attributes).flatMap(([name, value]) =>
    value === undefined ? [] : [attributeToProto(name, value)],
  );
  return {
    input: node.inputs.map(nameOf),
    output: node.outputs.map(nameOf),
    name: node.name,
    opType: node.opType,
    ...(node.domain === "" ? {} : { domain: node.domain }),
    attribute,
  };
}

function valueInfo(name: string, { dtype, shape }: ValueType): ValueInfoProto {
  const dim = shape.map((size) => (typeof size === "number" ? { dimValue: size } : { dimParam: size }));
  return { name, type: { tensorType: { elemType: dataTypeCode(dtype), shape: { dim } } } };
}

import { AttuneError } from "../errors/index.js";
import { attributeToProto } from "./format/attribute.js";
import { type DataType, dataTypeCode, elementsOf, type TypedArray } from "./format/data-type.js";
import type { AttributeProto, ModelProto, NodeProto, ValueInfoProto } from "./format/proto.js";
import { renameGraph } from "./format/rename.js";
import { type TensorData, tensorToProto } from "./format/tensor-proto.js";
import { inferenceOf, MAX_CONTENT, OperatorContext } from "./operators/index.js";
import { type Dimension, formatShape, isUnknown, mayEqual, type Shape } from "./shape.js";
import type { Attributes, GraphNode, Value, ValueType } from "./value.js";

/** Small constants are shared, so that every `0.5` of a graph is one initializer. */
const MAX_SHARED_CONSTANT = 16;

/** The versions of ONNX's operator set that graphs are built for. */
export const MIN_OPSET = 18;
export const MAX_OPSET = 24;

/** What to do about operators that are no standard ones. */
export const UNOPTIMISED =
  "If the model was optimised for a runtime, export it without optimisation, so that it consists of standard operators.";

export interface GraphOptions {
  /** Version of the ONNX operator set. @default 18 */
  readonly opset?: number;
}

export interface NodeOptions {
  /** @default the operator's type and a number */
  readonly name?: string;
  /** What messages call the node, where it comes from another model. @default its name */
  readonly origin?: string;
  /** Domain of the operator. @default "" (ONNX's own) */
  readonly domain?: string;
  /** Types of the outputs as known from elsewhere, for what inference does not find out. */
  readonly known?: readonly (ValueType | undefined)[];
  /** The values of this graph that subgraphs among the attributes read, by the names they use there. */
  readonly captures?: ReadonlyMap<string, Value>;
}

/** The nodes and values of one graph under construction: names, types and wiring. `GraphBuilder` adds a method per operator. */
export class Graph {
  /**
   * True where dimensions of different names may be one size, as in models from elsewhere, which name one size in many ways. Then
   * such dimensions fit each other; what the run finds to differ fails there.
   */
  looseDimensions = false;
  #opset: number;
  readonly #domains = new Map<string, number>();
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
    this.#opset = checkedOpset(options.opset ?? MIN_OPSET);
  }

  /** Version of the ONNX operator set. */
  get opset(): number {
    return this.#opset;
  }

  /**
   * Raises the version of an operator set to at least this one, where operators need it.
   * @throws invalid_model for a version of ONNX's own domain that is not known
   */
  requireOpset(version: number, domain = ""): void {
    if (domain === "") this.#opset = Math.max(this.#opset, checkedOpset(version));
    else this.#domains.set(domain, Math.max(this.#domains.get(domain) ?? 1, version));
  }

  /** A name for a dimension that nothing known determines. */
  freshDimension(): string {
    return this.#fresh("unknown", "");
  }

  /** The name that `options.name` should ask a node for: itself, or followed by a number where it is taken. */
  freeName(hint: string): string {
    let name = hint;
    for (let count = 1; name === "" || this.#taken.has(`${this.#prefix}${name}`); count++) name = `${hint}_${count}`;
    return name;
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
    const { domain = "", known = [], captures = new Map() } = options;
    const name = options.name === undefined ? this.#fresh(opType) : this.#reserve(`${this.#prefix}${options.name}`);
    for (const input of [...inputs, ...captures.values()]) this.#check(input, name, opType);
    const node = { name, origin: options.origin ?? name, opType, domain, inputs, attributes, captures };
    const types = typeof outputs === "object" ? outputs : this.#outputTypes(node, outputs, known);
    const values = types.map((type, at) => this.#define(at === 0 ? name : this.#further(name, at), type));
    const added: GraphNode = { ...node, outputs: values };
    this.#nodes.push(added);
    for (const value of values) this.#producers.set(value.name, added);
    return values;
  }

  /**
   * The first outputs of a node that was added with fewer of them, as where a gradient needs what a forward pass has computed anyway.
   * @throws invalid_model when the operator is not known here
   */
  withOutputs(node: GraphNode, count: number): readonly Value[] {
    const at = this.#nodes.findIndex((each) => each.name === node.name);
    const present = this.#nodes[at]?.outputs ?? node.outputs;
    if (present.length >= count) return present;
    const types = this.#outputTypes(node, count, []).slice(present.length);
    const added = types.map((type, more) => this.#define(this.#further(node.name, present.length + more), type));
    const extended = { ...node, outputs: [...present, ...added] };
    this.#nodes[at] = extended;
    for (const value of extended.outputs) this.#producers.set(value.name, extended);
    return extended.outputs;
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
      opsetImport: [
        { domain: "", version: this.opset },
        ...[...domains].map((domain) => ({ domain, version: this.#domains.get(domain) ?? 1 })),
      ],
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
      for (const input of [...node.inputs, ...node.captures.values()]) if (input !== undefined) used.add(input.name);
    }
    return { nodes: nodes.reverse(), used };
  }

  /** What inference finds out, made complete by what is known from elsewhere. */
  #outputTypes(
    node: Omit<GraphNode, "outputs">,
    count: number | undefined,
    known: readonly (ValueType | undefined)[],
  ): readonly ValueType[] {
    const infer = node.domain === "" ? inferenceOf(node.opType) : undefined;
    const given = known.filter((type) => type !== undefined).length === count ? (known as ValueType[]) : undefined;
    if (infer === undefined) return given ?? this.#unknownOperator(node);
    try {
      const fresh = (stem: string) => this.#fresh(stem, "");
      const context = new OperatorContext(node, this.#contents, fresh, this.looseDimensions, this.#initializers);
      return infer(context)
        .slice(0, count)
        .map((type, at) => refined(type, known[at]));
    } catch (error) {
      if (given !== undefined) return given;
      throw error;
    }
  }

  #unknownOperator({ origin, opType, domain }: Omit<GraphNode, "outputs">): never {
    throw new AttuneError(
      "invalid_model",
      `Node "${origin}" (${domain === "" ? "" : `${domain}.`}${opType}): the operator is not known here, nor are the types of its outputs. ${UNOPTIMISED}`,
    );
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

  /** A name for an output of a node other than the first; models from elsewhere may use `name:1` for something else. */
  #further(name: string, at: number): string {
    let free = `${name}:${at}`;
    while (this.#taken.has(free)) free += "_";
    return this.#reserve(free);
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

function checkedOpset(version: number): number {
  if (Number.isInteger(version) && version >= MIN_OPSET && version <= MAX_OPSET) return version;
  throw new AttuneError(
    "invalid_model",
    `Graphs are built for operator sets ${MIN_OPSET} to ${MAX_OPSET}; got ${version}.`,
  );
}

/** An inferred type whose unknown dimensions are taken from another source. */
function refined(type: ValueType, known: ValueType | undefined): ValueType {
  if (known === undefined || !mayEqual(type.shape, known.shape)) return type;
  return { ...type, shape: type.shape.map((size, axis) => (isUnknown(size) ? (known.shape[axis] ?? size) : size)) };
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
    attribute: attribute.map((each) => withSubgraph(each, node, nameOf)),
  };
}

/** The names inside a subgraph begin with the node's, so that they are nobody else's; those of captured values are the graph's. */
function withSubgraph(
  attribute: AttributeProto,
  node: GraphNode,
  nameOf: (value: Value | undefined) => string,
): AttributeProto {
  if (attribute.g === undefined) return attribute;
  const rename = (name: string) => {
    const captured = node.captures.get(name);
    return captured === undefined ? `${node.name}/${attribute.name}/${name}` : nameOf(captured);
  };
  return { ...attribute, g: renameGraph(attribute.g, rename) };
}

function valueInfo(name: string, { dtype, shape }: ValueType): ValueInfoProto {
  const dim = shape.map((size) => (typeof size === "number" ? { dimValue: size } : { dimParam: size }));
  return { name, type: { tensorType: { elemType: dataTypeCode(dtype), shape: { dim } } } };
}

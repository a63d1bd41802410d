import { AttuneError } from "../../errors/index.js";
import { attributeOfProto } from "../format/attribute.js";
import { int64ToNumber } from "../format/int64.js";
import type { GraphProto, ModelProto, NodeProto, ValueInfoProto } from "../format/proto.js";
import { type TensorData, tensorOfProto } from "../format/tensor-proto.js";
import type { GraphBuilder } from "../graph-builder.js";
import type { Dimension } from "../shape.js";
import type { AttributeValue, Value, ValueType } from "../value.js";
import { capturedNames, neededNodes, subgraphsOf } from "./graph-walk.js";
import { opsetOf } from "./opset.js";
import { typeOfValueInfo } from "./value-info.js";

export interface ImportOptions {
  /** Values that stand for inputs of the model, by name; the others become inputs of the builder under their own names. */
  readonly inputs?: Readonly<Record<string, Value>>;
  /**
   * Called once for each initializer that is used: a value that stands for it (an input to be fed, a sum with a low-rank delta), or
   * undefined to take it as it is.
   */
  readonly replace?: (name: string, tensor: TensorData) => Value | undefined;
  /** Put before names of nodes and initializers. @default "" */
  readonly prefix?: string;
}

/** The values that the names of a model became. */
export interface ImportedModel {
  readonly inputs: Map<string, Value>;
  /** In the model's order; data types and ranks are known, as far as they can be the sizes too. */
  readonly outputs: Map<string, Value>;
  /** Those that the outputs need. */
  readonly initializers: Map<string, Value>;
}

/**
 * Adds a model to a graph, as far as its outputs need it. Types and shapes are inferred anew; what inference does not know is taken
 * from the types that the model carries. The graph's dimensions become loose, and its operator set at least the model's.
 *
 * @param model as `normalizeModel` gives it
 * @throws invalid_model, naming the node, for an operator whose outputs have no known type, or inputs that do not fit
 */
export function importModel(graph: GraphBuilder, model: ModelProto, options: ImportOptions = {}): ImportedModel {
  graph.looseDimensions = true;
  graph.requireOpset(opsetOf(model));
  for (const { domain = "", version = 1 } of model.opsetImport ?? []) {
    if (domain !== "") graph.requireOpset(int64ToNumber(version), domain);
  }
  return new Import(graph, model.graph ?? {}, options).run();
}

class Import {
  readonly #values = new Map<string, Value>();
  readonly #dimensions = new Map<string, Dimension>();
  readonly #infos: ReadonlyMap<string, ValueInfoProto>;
  readonly #prefix: string;

  constructor(
    private readonly graph: GraphBuilder,
    private readonly proto: GraphProto,
    private readonly options: ImportOptions,
  ) {
    this.#infos = new Map([...(proto.valueInfo ?? []), ...(proto.output ?? [])].map((info) => [info.name ?? "", info]));
    this.#prefix = options.prefix ?? "";
  }

  run(): ImportedModel {
    const { nodes, used } = neededNodes(this.proto);
    const initializers = this.#initializers(used);
    const inputs = this.#inputs(initializers);
    for (const node of nodes) this.#node(node);
    const outputs = (this.proto.output ?? []).map(({ name = "" }): [string, Value] => [name, this.#value(name)]);
    return { inputs, outputs: new Map(outputs), initializers };
  }

  #initializers(used: ReadonlySet<string>): Map<string, Value> {
    const initializers = new Map<string, Value>();
    for (const proto of this.proto.initializer ?? []) {
      const { name = "" } = proto;
      if (!used.has(name)) continue;
      const tensor = tensorOfProto(proto);
      const value = this.options.replace?.(name, tensor) ?? this.graph.initializer(`${this.#prefix}${name}`, tensor);
      initializers.set(name, value);
      this.#values.set(name, value);
    }
    return initializers;
  }

  #inputs(initializers: ReadonlyMap<string, Value>): Map<string, Value> {
    const inputs = new Map<string, Value>();
    const stored = new Set((this.proto.initializer ?? []).map((tensor) => tensor.name));
    for (const info of this.proto.input ?? []) {
      const { name = "" } = info;
      // Until version 4 of the format every initializer was listed as an input too.
      if (stored.has(name) || initializers.has(name)) continue;
      const value = this.#input(name, info);
      inputs.set(name, value);
      this.#values.set(name, value);
    }
    return inputs;
  }

  #input(name: string, info: ValueInfoProto): Value {
    const type = typeOfValueInfo(info, (dimension) => (dimension === "?" ? this.graph.freshDimension() : dimension));
    if (type === undefined) {
      throw new AttuneError("invalid_model", `The model's input "${name}" is no tensor of known type and rank.`);
    }
    const given = this.options.inputs?.[name];
    const value = given ?? this.graph.input(name, type.dtype, type.shape);
    if (value.dtype !== type.dtype || value.shape.length !== type.shape.length) {
      throw new AttuneError(
        "invalid_model",
        `The model's input "${name}" is ${type.dtype} of rank ${type.shape.length}; got "${value.name}", ${value.dtype} of rank ${value.shape.length}.`,
      );
    }
    for (const [axis, size] of type.shape.entries()) {
      if (typeof size === "string") this.#dimensions.set(size, value.shape[axis] ?? size);
    }
    return value;
  }

  #node(node: NodeProto): void {
    const { opType = "", domain = "", input = [], output = [] } = node;
    const label = node.name || output.find((name) => name !== "") || opType;
    const attributes: Record<string, AttributeValue> = {};
    for (const attribute of node.attribute ?? []) attributes[attribute.name ?? ""] = attributeOfProto(attribute);
    const captured = capturedNames(node);
    const values = this.graph.node(
      opType,
      input.map((name) => (name === "" ? undefined : this.#value(name))),
      attributes,
      output.length,
      {
        name: this.graph.freeName(`${this.#prefix}${label}`),
        origin: label,
        domain,
        known: output.map((name, at) => this.#knownType(this.#infos.get(name)) ?? this.#branchType(node, at)),
        captures: new Map([...captured].map((name) => [name, this.#value(name)])),
      },
    );
    for (const [at, name] of output.entries()) {
      const value = values[at];
      if (value !== undefined && name !== "") this.#values.set(name, value);
    }
  }

  /** What the model states of a value, with dimensions in terms of the inputs that were given. */
  #knownType(info: ValueInfoProto | undefined): ValueType | undefined {
    return typeOfValueInfo(info, (dimension) => this.#dimensions.get(dimension) ?? this.graph.freshDimension());
  }

  /** What both branches of an If state of an output: sizes in which they differ are unknown. */
  #branchType(node: NodeProto, at: number): ValueType | undefined {
    if (node.opType !== "If") return undefined;
    const [first, ...others] = subgraphsOf(node).map((branch) => this.#knownType(branch.output?.[at]));
    const alike = others.every((type) => type?.dtype === first?.dtype && type?.shape.length === first?.shape.length);
    if (first === undefined || !alike) return undefined;
    const shape = first.shape.map((size, axis) =>
      others.every((type) => type?.shape[axis] === size) ? size : this.graph.freshDimension(),
    );
    return { dtype: first.dtype, shape };
  }

  #value(name: string): Value {
    const value = this.#values.get(name);
    if (value === undefined) {
      throw new AttuneError("invalid_model", `The model uses "${name}", which no node, input or initializer gives.`);
    }
    return value;
  }
}

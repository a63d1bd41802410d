import { AttuneError } from "../../errors/index.js";
import { elementsOf } from "../format/data-type.js";
import { int64ToNumber } from "../format/int64.js";
import type {
  GraphProto,
  ModelProto,
  NodeProto,
  OperatorSetIdProto,
  TensorProto,
  ValueInfoProto,
} from "../format/proto.js";
import { alignedProto, checkTensorProto, tensorToProto } from "../format/tensor-proto.js";
import { MAX_OPSET, MIN_OPSET } from "../graph.js";
import { CONSTANT_MARK, tensorOfConstant } from "./constant-node.js";
import { inlineFunctions } from "./inline-functions.js";
import { opsetOf } from "./opset.js";
import { refuseQuantized } from "./refuse-quantized.js";
import { singleNode, singleTensor, singleValueInfo } from "./single-precision.js";
import { upgradeNode } from "./upgrade-node.js";

/** Models of older operator sets are refused: their operators differ in too many ways. */
const OLDEST_OPSET = 11;
/** The version of the file format that came with operator set 18. */
const MIN_IR_VERSION = 8;

/**
 * A model made fit for reading and training, with the same inputs and outputs: of operator set 18 or above, in float32 where it was
 * float16, its functions inlined, constants and parameters as initializers, and Dropout, which does nothing outside of training,
 * as Identity. The given model is not touched; tensors are shared with it, as far as they lie where a typed array can view them.
 *
 * @throws invalid_model when the operator set is older than 11 or not known yet, when a tensor's data lies in another file, is
 * sparse, damaged or of a type without a plain array, and for quantised models
 */
export function normalizeModel(model: ModelProto): ModelProto {
  const opset = checkedOpset(model);
  const { graph = {} } = inlineFunctions(model);
  const others = (model.opsetImport ?? []).filter(({ domain = "" }) => domain !== "" && domain !== "ai.onnx");
  const own: OperatorSetIdProto = { domain: "", version: Math.max(opset, MIN_OPSET) };
  return {
    ...model,
    irVersion: Math.max(int64ToNumber(model.irVersion ?? 0), MIN_IR_VERSION),
    opsetImport: [own, ...others],
    functions: [],
    trainingInfo: [],
    graph: normalizeGraph(graph, opset),
  };
}

function checkedOpset(model: ModelProto): number {
  const opset = opsetOf(model);
  if (opset >= OLDEST_OPSET && opset <= MAX_OPSET) return opset;
  const found =
    opset === 0 ? "does not say which version of the ONNX operator set it uses" : `uses operator set ${opset}`;
  throw new AttuneError(
    "invalid_model",
    `The model ${found}; versions ${OLDEST_OPSET} to ${MAX_OPSET} are supported. Export it again with a supported opset, such as 17.`,
  );
}

/** A graph, or the body of a branch or loop. */
function normalizeGraph(graph: GraphProto, opset: number): GraphProto {
  if ((graph.sparseInitializer ?? []).length > 0) {
    throw new AttuneError(
      "invalid_model",
      "The model has sparse initializers, which are not supported. Store them dense.",
    );
  }
  const initializer = (graph.initializer ?? []).map(checkedTensor);
  const ranks = ranksOf(graph);
  const scope = {
    rankOf: (name: string) => ranks.get(name),
    integers(name: string, values: readonly number[]): string {
      const data = elementsOf("int64", values);
      initializer.push(tensorToProto(name, { dtype: "int64", shape: [values.length], data }));
      return name;
    },
  };
  const nodes: NodeProto[] = [];
  for (const original of graph.node ?? []) {
    const node = normalizeNode(original, opset);
    const constant = node.opType === "Constant" ? tensorOfConstant(node) : undefined;
    if (constant !== undefined) initializer.push({ ...checkedTensor(constant), docString: CONSTANT_MARK });
    else nodes.push(...(node.domain === "" ? upgradeNode(node, opset, scope) : [node]));
  }
  const stored = new Set(initializer.map(({ name }) => name));
  return {
    ...graph,
    node: nodes,
    initializer,
    // Until version 4 of the format every initializer was listed as an input too.
    input: (graph.input ?? []).filter(({ name }) => !stored.has(name)).map(singleValueInfo),
    output: (graph.output ?? []).map(singleValueInfo),
    valueInfo: (graph.valueInfo ?? []).map(singleValueInfo),
  };
}

function normalizeNode(node: NodeProto, opset: number): NodeProto {
  refuseQuantized(node);
  const { domain = "", opType = "" } = node;
  const single = singleNode(node);
  const attribute = (single.attribute ?? []).map((each) => ({
    ...each,
    ...(each.g === undefined ? {} : { g: normalizeGraph(each.g, opset) }),
    ...(each.graphs === undefined ? {} : { graphs: each.graphs.map((graph) => normalizeGraph(graph, opset)) }),
  }));
  const normal = { ...single, attribute, domain: domain === "ai.onnx" ? "" : domain };
  const [kept = "", mask = ""] = node.output ?? [];
  if (opType !== "Dropout" || normal.domain !== "" || mask !== "" || (node.input?.[2] ?? "") !== "") return normal;
  return { ...normal, opType: "Identity", input: (node.input ?? []).slice(0, 1), output: [kept], attribute: [] };
}

function checkedTensor(proto: TensorProto): TensorProto {
  checkTensorProto(proto);
  return alignedProto(singleTensor(proto));
}

function ranksOf({ input = [], output = [], valueInfo = [] }: GraphProto): Map<string, number> {
  const ranks = new Map<string, number>();
  for (const { name = "", type } of [...input, ...output, ...valueInfo] as ValueInfoProto[]) {
    const rank = type?.tensorType?.shape?.dim?.length;
    if (rank !== undefined) ranks.set(name, rank);
  }
  return ranks;
}

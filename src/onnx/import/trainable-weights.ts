import { AttuneError } from "../../errors/index.js";
import { isFloating } from "../format/data-type.js";
import type { ModelProto } from "../format/proto.js";
import type { TensorData } from "../format/tensor-proto.js";
import { gradientPath } from "../gradient-path.js";
import { GraphBuilder } from "../graph-builder.js";
import type { GraphNode, Value } from "../value.js";
import { CONSTANT_MARK } from "./constant-node.js";
import { importModel } from "./import-model.js";

/** A tensor of a model that training may change. */
export interface TrainableWeight {
  readonly name: string;
  readonly shape: readonly number[];
  /** Number of elements. */
  readonly size: number;
}

/**
 * The floating initializers from which a differentiable path leads to one of the outputs, in the order in which the model first
 * uses them: those of its first layers come first. What was a Constant node, single numbers, and what leads there only as an angle (the
 * frequencies of rotary positions, which a few steps of an optimizer would ruin) are left out: they belong to the architecture.
 *
 * An operator that cannot be differentiated does not end a path here; `differentiate` refuses it by name.
 *
 * @param model as `normalizeModel` gives it
 * @throws invalid_model for an output that the model does not have, or when there is nothing to train
 */
export function trainableWeights(model: ModelProto, outputs: readonly string[]): TrainableWeight[] {
  const graph = new GraphBuilder("weights");
  const imported = importModel(graph, model);
  const targets = outputs.map((name) => imported.outputs.get(name) ?? refuseOutput(name, imported.outputs.keys()));
  const path = gradientPath(graph, imported.initializers.values(), targets, undefined, takesAngles);
  const names = new Map<Value, string>();
  const constants = constantNames(model);
  for (const [name, value] of imported.initializers) {
    if (path.has(value) && !constants.has(name)) names.set(value, name);
  }
  const weights: TrainableWeight[] = [];
  for (const value of new Set(graph.nodes.flatMap((node) => node.inputs))) {
    const name = value === undefined ? undefined : names.get(value);
    const tensor = value === undefined ? undefined : graph.dataOf(value);
    if (name === undefined || tensor === undefined || !isWeight(tensor)) continue;
    weights.push({ name, shape: [...tensor.shape], size: tensor.data.length });
  }
  if (weights.length > 0) return weights;
  throw new AttuneError(
    "invalid_model",
    `The model has no weights to train: no floating tensor stored in it leads to ${outputs.map((name) => `"${name}"`).join(", ")}.`,
  );
}

function takesAngles({ opType, domain }: GraphNode): boolean {
  return domain === "" && (opType === "Sin" || opType === "Cos");
}

function constantNames(model: ModelProto): Set<string> {
  const marked = (model.graph?.initializer ?? []).filter((tensor) => tensor.docString === CONSTANT_MARK);
  return new Set(marked.map(({ name = "" }) => name));
}

function isWeight({ dtype, data }: TensorData): boolean {
  return isFloating(dtype) && data.length > 1;
}

function refuseOutput(name: string, known: Iterable<string>): never {
  throw new AttuneError("invalid_model", `The model has no output "${name}"; it has ${[...known].join(", ")}.`);
}

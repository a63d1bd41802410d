import { AttuneError } from "../../errors/index.js";
import {
  type GraphBuilder,
  type ModelProto,
  type TensorData,
  tensorOfProto,
  trainableWeights,
  type Value,
} from "../../onnx/index.js";
import type { Random } from "../../vector/random.js";
import type { FineTuneOptions } from "../task/options.js";
import { lowRankWeights } from "./low-rank.js";
import { isLookUpTable, layerOf, type WeightReader, weightReaders } from "./weight-readers.js";

/** A tensor that the optimizer changes. */
export interface TrainedWeight {
  name: string;
  shape: readonly number[];
  /** Whether weight decay applies: to matrices and kernels, not to biases, scales of norms, and look-up tables. */
  decays: boolean;
  /** Its numbers before the first step. */
  start: Float32Array;
}

/** What is trained of an encoder, and how the encoder is made of it. */
export interface TrainedWeights {
  readonly weights: readonly TrainedWeight[];
  /** What stands for the encoder's initializers in a graph, given the trained weights by name. */
  initializers(graph: GraphBuilder, weights: ReadonlyMap<string, Value>): ReadonlyMap<string, Value>;
  /** The tuned initializers, to be written into the encoder. */
  merge(weights: ReadonlyMap<string, Float32Array>): Map<string, TensorData>;
}

/** A floating initializer of an encoder that leads to its embedding. */
export interface Candidate {
  name: string;
  tensor: TensorData & { data: Float32Array };
  readers: readonly WeightReader[];
}

/**
 * Chooses what is trained of a normalised model, as `parameters`, `layers`, `rank` and `targets` say.
 * @param output the model's output that the embedding is made of
 * @throws invalid_model when nothing leads to the output that could be trained; invalid_setting when `targets` names nothing
 */
export function chooseWeights(
  model: ModelProto,
  output: string,
  options: Pick<FineTuneOptions, "parameters" | "layers" | "rank" | "targets">,
  random: Random,
): TrainedWeights {
  const candidates = candidatesOf(model, output);
  if (options.parameters === "low-rank") return lowRankWeights(candidates, options, random);
  return wholeWeights(options.parameters === "all" ? candidates : lastLayers(candidates, options.layers));
}

function candidatesOf(model: ModelProto, output: string): Candidate[] {
  const tensors = new Map((model.graph?.initializer ?? []).map((proto) => [proto.name ?? "", proto]));
  const readers = weightReaders(model);
  const candidates = trainableWeights(model, [output]).flatMap(({ name, size }): Candidate[] => {
    const proto = tensors.get(name);
    // A single number is a constant of the architecture: an epsilon, an exponent, a scale of scores.
    if (proto === undefined || size < 2) return [];
    const tensor = tensorOfProto(proto);
    if (!(tensor.data instanceof Float32Array)) return [];
    return [{ name, tensor: { ...tensor, data: tensor.data }, readers: readers.get(name) ?? [] }];
  });
  if (candidates.length > 0) return candidates;
  throw new AttuneError(
    "invalid_model",
    `The encoder holds no weights that lead to its output "${output}"; nothing can be trained`,
  );
}

/** The last `count` layers in the order of the graph. */
function lastLayers(candidates: readonly Candidate[], count: number): Candidate[] {
  const layer = ({ name, readers }: Candidate) => layerOf(name, readers);
  const last = new Set([...new Set(candidates.map(layer))].slice(-count));
  return candidates.filter((candidate) => last.has(layer(candidate)));
}

/** The weights themselves. */
function wholeWeights(candidates: readonly Candidate[]): TrainedWeights {
  const weights = candidates.map(({ name, tensor, readers }): TrainedWeight => {
    const decays = tensor.shape.filter((size) => size > 1).length >= 2 && !isLookUpTable(readers);
    return { name, shape: tensor.shape, decays, start: tensor.data };
  });
  return {
    weights,
    initializers: (_graph, values) => values,
    merge: (values) =>
      new Map(
        weights.map(({ name, shape, start }) => [name, { dtype: "float32", shape, data: values.get(name) ?? start }]),
      ),
  };
}

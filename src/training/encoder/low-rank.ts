import { AttuneError } from "../../errors/index.js";
import type { TensorData } from "../../onnx/index.js";
import type { Random } from "../../vector/random.js";
import type { FineTuneOptions } from "../task/options.js";
import type { Candidate, TrainedWeight, TrainedWeights } from "./trained-weights.js";
import { isMatrixOfProducts } from "./weight-readers.js";

/** Factor of the product, as of alpha = 2 rank in the paper's terms: with B at 0 it sets how fast a delta grows. */
const SCALE = 2;

/**
 * Trains a low-rank delta beside each matrix W (n, m) instead of the matrix: W + 2 A B with A (n, rank) random and B (rank, m)
 * zero at the start, so that the encoder is unchanged before the first step. For export the sum is written: the tuned encoder is as
 * large and as fast as before.
 *
 * @param options `targets`: only matrices whose name, or that of a node that reads them, contains one of these
 * @throws invalid_setting when there is no such matrix
 * @see Hu et al., "LoRA", ICLR 2022
 */
export function lowRankWeights(
  candidates: readonly Candidate[],
  options: Pick<FineTuneOptions, "rank" | "targets">,
  random: Random,
): TrainedWeights {
  const matrices = chosenMatrices(candidates, options.targets);
  const factors = matrices.map(({ name, tensor }) => {
    const [rows = 0, columns = 0] = tensor.shape;
    const rank = Math.min(options.rank, rows, columns);
    const deviation = 1 / Math.sqrt(rows);
    const a = Float32Array.from({ length: rows * rank }, () => deviation * random.normal());
    const down: TrainedWeight = { name: `${name}.A`, shape: [rows, rank], decays: true, start: a };
    const up: TrainedWeight = {
      name: `${name}.B`,
      shape: [rank, columns],
      decays: true,
      start: new Float32Array(rank * columns),
    };
    return { name, tensor, down, up };
  });
  return {
    weights: factors.flatMap(({ down, up }) => [down, up]),
    initializers: (graph, values) =>
      new Map(
        factors.flatMap(({ name, tensor, down, up }) => {
          const [a, b] = [values.get(down.name), values.get(up.name)];
          if (a === undefined || b === undefined) return [];
          const delta = graph.mul(graph.matMul(a, b), SCALE);
          return [[name, graph.add(graph.initializer(`frozen/${name}`, tensor), delta)]];
        }),
      ),
    merge: (values) =>
      new Map(
        factors.map(({ name, tensor, down, up }): [string, TensorData] => {
          const data = withDelta(tensor, values.get(down.name) ?? down.start, values.get(up.name) ?? up.start);
          return [name, { ...tensor, data }];
        }),
      ),
  };
}

function chosenMatrices(candidates: readonly Candidate[], targets: readonly string[] | undefined): Candidate[] {
  const matrices = candidates.filter(({ tensor, readers }) => tensor.shape.length === 2 && isMatrixOfProducts(readers));
  const isTarget = ({ name, readers }: Candidate) => {
    const names = [name, ...readers.map(({ node }) => node.name ?? "")];
    return targets === undefined || targets.some((target) => names.some((each) => each.includes(target)));
  };
  const chosen = matrices.filter(isTarget);
  if (chosen.length > 0) return chosen;
  const known = matrices.map(({ name, readers }) => `${name} (${readers[0]?.node.name ?? ""})`).join(", ");
  throw new AttuneError(
    "invalid_setting",
    `targets ${JSON.stringify(targets ?? [])} names no matrix of a matrix product of the encoder; it has: ${known || "none"}`,
  );
}

/** W + 2 A B, summed in float64. */
function withDelta({ shape, data }: Candidate["tensor"], a: Float32Array, b: Float32Array): Float32Array {
  const [rows = 0, columns = 0] = shape;
  const rank = b.length / columns;
  const sums = new Float64Array(columns);
  const merged = new Float32Array(data.length);
  for (let row = 0; row < rows; row++) {
    sums.fill(0);
    for (let k = 0; k < rank; k++) {
      const factor = a[row * rank + k] as number;
      for (let column = 0; column < columns; column++) {
        sums[column] = (sums[column] as number) + factor * (b[k * columns + column] as number);
      }
    }
    for (let column = 0; column < columns; column++) {
      merged[row * columns + column] = (data[row * columns + column] as number) + SCALE * (sums[column] as number);
    }
  }
  return merged;
}

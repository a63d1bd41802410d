import { HeldTensor, type Tensor } from "../../runtime/index.js";
import { tensor } from "../engines/engine.js";
import type { TrainedWeight } from "./trained-weights.js";

/** What a run takes: numbers of this process, or what an earlier run left in the runtime. */
export type Fed = Tensor | HeldTensor;

/** An encoder in training: weights and AdamW's moments, in the order of the trained weights. */
export interface EncoderState {
  weights: readonly Fed[];
  means: readonly Fed[];
  variances: readonly Fed[];
  steps: number;
}

/** The numbers of a state. */
export interface StateNumbers {
  weights: readonly Float32Array[];
  means: readonly Float32Array[];
  variances: readonly Float32Array[];
  steps: number;
}

/** A state of given numbers, which are not copied. */
export function stateOf(
  trained: readonly TrainedWeight[],
  { weights, means, variances, steps }: StateNumbers,
): EncoderState {
  const tensors = (numbers: readonly Float32Array[]) =>
    trained.map(({ shape, start }, i) => tensor(numbers[i] ?? new Float32Array(start.length), [...shape]));
  return { weights: tensors(weights), means: tensors(means), variances: tensors(variances), steps };
}

/** A state before its first step. @param weights @default the encoder's own */
export function startingState(
  trained: readonly TrainedWeight[],
  weights: readonly Float32Array[] = trained.map(({ start }) => start),
): EncoderState {
  return stateOf(trained, { weights, means: [], variances: [], steps: 0 });
}

/** The numbers of a state: views of the runtime's memory where that is this process's, valid until the next step. */
export async function numbersOf({ weights, means, variances, steps }: EncoderState): Promise<StateNumbers> {
  const all = (tensors: readonly Fed[]) => Promise.all(tensors.map(floatsOf));
  return { weights: await all(weights), means: await all(means), variances: await all(variances), steps };
}

/** Copies of the weights of a state. */
export async function weightsOf({ weights }: EncoderState): Promise<Float32Array[]> {
  const numbers = await Promise.all(weights.map(floatsOf));
  return numbers.map((each) => each.slice());
}

/** Frees what the runtime holds. */
export function release(...tensors: readonly (readonly Fed[])[]): void {
  for (const each of tensors.flat()) if (each instanceof HeldTensor) each.release();
}

/** Tensors as the inputs `NAME_0`, `NAME_1`, ... */
export function numbered(name: string, tensors: readonly Fed[]): Record<string, Fed> {
  return Object.fromEntries(tensors.map((each, i) => [`${name}_${i}`, each]));
}

/** The outputs `NAME_0`, `NAME_1`, ... of a run. */
export function taken(held: Readonly<Record<string, HeldTensor>>, name: string, count: number): HeldTensor[] {
  return Array.from({ length: count }, (_, i) => {
    const each = held[`${name}_${i}`];
    if (each === undefined) throw new Error(`The run gave no ${name}_${i}`);
    return each;
  });
}

async function floatsOf(fed: Fed): Promise<Float32Array> {
  const { data } = fed instanceof HeldTensor ? await fed.read() : fed;
  return data as Float32Array;
}

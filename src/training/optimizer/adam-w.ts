import type { TensorOperations } from "../engines/tensor-operations.js";

/** Decay rates of the moments and the term that keeps the quotient finite, as in the paper. */
export const ADAM_W = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 } as const;

/** A parameter with its running first and second moments, all of one shape. */
export interface AdamWState<T> {
  parameter: T;
  mean: T;
  variance: T;
}

/** Numbers of one step, computed outside of the graph: see {@link adamWFactors}. */
export interface AdamWFactors<T> {
  stepSize: T;
  rootCorrection: T;
  keep: T;
}

/**
 * The factors of step `step` (from 1).
 * @param learningRate above 0
 * @param weightDecay at least 0; per step the parameter shrinks by the share learningRate * weightDecay
 */
export function adamWFactors(step: number, learningRate: number, weightDecay: number): AdamWFactors<number> {
  return {
    stepSize: learningRate / (1 - ADAM_W.beta1 ** step),
    rootCorrection: 1 / Math.sqrt(1 - ADAM_W.beta2 ** step),
    keep: 1 - learningRate * weightDecay,
  };
}

/**
 * One step of AdamW: m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2,
 * w = (1 - rate decay) w - rate (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon).
 * @param factors `keep` undefined: a parameter that does not decay
 * @see Loshchilov, Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, algorithm 2
 */
export function adamWStep<T>(
  ops: TensorOperations<T>,
  state: AdamWState<T>,
  gradient: T,
  factors: Omit<AdamWFactors<T>, "keep"> & { keep: T | undefined },
): AdamWState<T> {
  const { beta1, beta2, epsilon } = ADAM_W;
  const mean = ops.add(ops.mul(state.mean, beta1), ops.mul(gradient, 1 - beta1));
  const variance = ops.add(ops.mul(state.variance, beta2), ops.mul(ops.mul(gradient, gradient), 1 - beta2));
  const root = ops.add(ops.mul(ops.sqrt(variance), factors.rootCorrection), epsilon);
  const update = ops.mul(ops.div(mean, root), factors.stepSize);
  const kept = factors.keep === undefined ? state.parameter : ops.mul(state.parameter, factors.keep);
  return { parameter: ops.sub(kept, update), mean, variance };
}

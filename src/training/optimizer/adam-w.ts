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
  epsilon: T;
  keep: T;
}

/**
 * The factors of step `step` (from 1). The corrections of the moments' bias are worked into the step size and epsilon, so that they
 * cost nothing for each weight.
 * @see Kingma, Ba, "Adam", ICLR 2015, section 2, the more efficient order of computation
 * @param learningRate above 0
 * @param weightDecay at least 0; per step the parameter shrinks by the share learningRate * weightDecay
 */
export function adamWFactors(step: number, learningRate: number, weightDecay: number): AdamWFactors<number> {
  const rootOfBias = Math.sqrt(1 - ADAM_W.beta2 ** step);
  return {
    stepSize: (learningRate * rootOfBias) / (1 - ADAM_W.beta1 ** step),
    epsilon: ADAM_W.epsilon * rootOfBias,
    keep: 1 - learningRate * weightDecay,
  };
}

/**
 * One step of AdamW: m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2,
 * w = (1 - rate decay) w - rate (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon).
 * @param factors `keep` undefined: a parameter that does not decay
 * @param scale what the gradient is multiplied by beforehand, a scalar
 * @see Loshchilov, Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, algorithm 2
 */
export function adamWStep<T>(
  ops: TensorOperations<T>,
  state: AdamWState<T>,
  gradient: T,
  factors: Omit<AdamWFactors<T>, "keep"> & { keep: T | undefined },
  scale?: T,
): AdamWState<T> {
  const { beta1, beta2 } = ADAM_W;
  // Scalars are multiplied with each other first: each product with a tensor is a walk over all weights.
  const share = (beta: number, of: T | undefined) => (of === undefined ? 1 - beta : ops.mul(of, 1 - beta));
  const square = scale === undefined ? undefined : ops.mul(scale, scale);
  const mean = ops.add(ops.mul(state.mean, beta1), ops.mul(gradient, share(beta1, scale)));
  const squares = ops.mul(ops.mul(gradient, gradient), share(beta2, square));
  const variance = ops.add(ops.mul(state.variance, beta2), squares);
  const update = ops.mul(ops.div(mean, ops.add(ops.sqrt(variance), factors.epsilon)), factors.stepSize);
  const kept = factors.keep === undefined ? state.parameter : ops.mul(state.parameter, factors.keep);
  return { parameter: ops.sub(kept, update), mean, variance };
}

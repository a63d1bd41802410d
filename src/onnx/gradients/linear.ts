import type { Value } from "../value.js";
import { adding, type GradientContext, type GradientRule } from "./gradient-rule.js";

/** With Y = A B: dA = dY B^T and dB = A^T dY, summed over the leading axes along which an operand was repeated. */
const matMul: GradientRule = (context: GradientContext) => {
  const [a, b] = [context.input(0), context.input(1)];
  if (a.shape.length === 2 && b.shape.length === 2) return matrixProduct(context, a, b);
  if (a.shape.length > 2 && b.shape.length === 2) return sharedRight(context, a, b);
  return batched(context, a, b);
};

/** Gemm takes a transposed operand as it lies; a Transpose node would copy it. */
function matrixProduct({ graph, gradient }: GradientContext, a: Value, b: Value) {
  return [
    () => graph.gemm(gradient, b, undefined, { transB: true }),
    adding((sum) => graph.gemm(a, gradient, sum, { transA: true })),
  ];
}

/** Many rows times one matrix, as in a layer of weights: dB is one product over all rows, not a sum of products. */
function sharedRight(context: GradientContext, a: Value, b: Value) {
  const { graph, gradient } = context;
  const rows = (value: Value) => {
    const columns = value.shape.length - 1;
    const target = graph.concat([graph.constant([-1], "int64"), context.dimensions(value, columns, columns + 1)], 0);
    return graph.reshape(value, target);
  };
  return [
    () => graph.matMul(gradient, graph.transpose(b)),
    adding((sum) => graph.gemm(rows(a), rows(gradient), sum, { transA: true })),
  ];
}

function batched(context: GradientContext, a: Value, b: Value) {
  const { graph } = context;
  // A vector counts as a row on the left and a column on the right; its axis is missing from the product.
  const left = a.shape.length === 1 ? graph.unsqueeze(a, [0]) : a;
  const right = b.shape.length === 1 ? graph.unsqueeze(b, [1]) : b;
  const gradient = () => {
    const columns = b.shape.length === 1 ? graph.unsqueeze(context.gradient, [-1]) : context.gradient;
    return a.shape.length === 1 ? graph.unsqueeze(columns, [-2]) : columns;
  };
  return [
    () => {
      const product = context.sumTo(graph.matMul(gradient(), swapped(context, right)), left);
      return a.shape.length === 1 ? graph.squeeze(product, [0]) : product;
    },
    () => {
      const product = context.sumTo(graph.matMul(swapped(context, left), gradient()), right);
      return b.shape.length === 1 ? graph.squeeze(product, [1]) : product;
    },
  ];
}

/** The last two axes exchanged. */
function swapped({ graph }: GradientContext, value: Value): Value {
  const order = value.shape.map((_, axis) => axis);
  const rank = order.length;
  return graph.transpose(value, [...order.slice(0, -2), rank - 1, rank - 2]);
}

/** With Y = alpha A' B' + beta C, where ' is an optional transposition. */
const gemm: GradientRule = (context: GradientContext) => {
  const { graph, gradient } = context;
  const [a, b, c] = [context.input(0), context.input(1), context.node.inputs[2]];
  const alpha = context.number("alpha", 1);
  const beta = context.number("beta", 1);
  const transA = context.integer("transA", 0) !== 0;
  const transB = context.integer("transB", 0) !== 0;
  return [
    () =>
      transA
        ? graph.gemm(b, gradient, undefined, { alpha, transA: transB, transB: true })
        : graph.gemm(gradient, b, undefined, { alpha, transB: !transB }),
    adding((sum) =>
      transB
        ? graph.gemm(gradient, a, sum, { alpha, transA: true, transB: transA })
        : graph.gemm(a, gradient, sum, { alpha, transA: !transA }),
    ),
    c === undefined ? undefined : () => context.sumTo(beta === 1 ? gradient : graph.mul(gradient, beta), c),
  ];
};

/** Matrix products. */
export const linear: Readonly<Record<string, GradientRule>> = { MatMul: matMul, Gemm: gemm };

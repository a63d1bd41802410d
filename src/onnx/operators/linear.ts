import { parseEinsum } from "../einsum.js";
import { broadcastShapes, type Dimension, formatShape, mayEqual, type Shape } from "../shape.js";
import type { Inference, OperatorContext } from "./operator-context.js";

function contract(context: OperatorContext, left: Shape, right: Shape, inner: readonly unknown[]): void {
  const [a, b] = inner;
  if (a !== b && typeof a === typeof b && !(context.loose && typeof a === "string")) {
    context.fail(`the shapes ${formatShape(left)} and ${formatShape(right)} do not multiply: ${a} is not ${b}`);
  }
}

const matMul: Inference = (context: OperatorContext) => {
  const a = context.input(0);
  const b = context.input(1);
  const dtype = context.sameType([a, b]);
  if (a.shape.length === 0 || b.shape.length === 0) context.fail("scalars have no matrix product; use Mul");
  // numpy.matmul: a vector on the left is a row, on the right a column, and that axis is dropped from the result.
  const left = a.shape.length === 1 ? [1, ...a.shape] : a.shape;
  const right = b.shape.length === 1 ? [...b.shape, 1] : b.shape;
  contract(context, a.shape, b.shape, [left.at(-1), right.at(-2)]);
  const batch = broadcastShapes(left.slice(0, -2), right.slice(0, -2), context.loose);
  if (batch === undefined) {
    context.fail(`the leading axes of ${formatShape(a.shape)} and ${formatShape(b.shape)} do not broadcast`);
  }
  const rows = a.shape.length === 1 ? [] : left.slice(-2, -1);
  const columns = b.shape.length === 1 ? [] : right.slice(-1);
  return [{ dtype, shape: [...batch, ...rows, ...columns] }];
};

const gemm: Inference = (context: OperatorContext) => {
  const a = context.input(0);
  const b = context.input(1);
  const c = context.inputs[2];
  const dtype = context.sameType(c === undefined ? [a, b] : [a, b, c]);
  if (a.shape.length !== 2 || b.shape.length !== 2) {
    context.fail(`two matrices are expected, got ${formatShape(a.shape)} and ${formatShape(b.shape)}`);
  }
  const left = context.integer("transA", 0) === 0 ? a.shape : a.shape.toReversed();
  const right = context.integer("transB", 0) === 0 ? b.shape : b.shape.toReversed();
  contract(context, left, right, [left[1], right[0]]);
  const shape = [...left.slice(0, 1), ...right.slice(1)];
  if (c !== undefined) {
    const sum = broadcastShapes(shape, c.shape, context.loose);
    if (sum === undefined || !mayEqual(sum, shape)) {
      context.fail(`the addend ${formatShape(c.shape)} does not broadcast to ${formatShape(shape)}`);
    }
  }
  return [{ dtype, shape }];
};

const einsum: Inference = (context: OperatorContext) => {
  const operands = context.present();
  const dtype = context.sameType(operands);
  const written = String(context.attribute("equation"));
  const equation = parseEinsum(written) ?? context.fail(`the equation "${written}" is not supported`);
  const sizes = new Map<string, Dimension>();
  for (const [at, operand] of operands.entries()) {
    const letters = equation.operands[at] ?? "";
    if (letters.length !== operand.shape.length) {
      context.fail(`"${letters}" of the equation "${written}" does not fit ${formatShape(operand.shape)}`);
    }
    for (const [axis, letter] of [...letters].entries()) {
      const size = context.dimension(operand, axis);
      const known = sizes.get(letter) ?? size;
      if (typeof known === "number" && typeof size === "number" && known !== size) {
        context.fail(`"${letter}" of the equation "${written}" is ${known} and ${size}`);
      }
      sizes.set(letter, typeof size === "number" ? size : known);
    }
  }
  return [{ dtype, shape: [...equation.result].map((letter) => sizes.get(letter) ?? 1) }];
};

/** Matrix products. */
export const linear: Readonly<Record<string, Inference>> = { MatMul: matMul, Gemm: gemm, Einsum: einsum };

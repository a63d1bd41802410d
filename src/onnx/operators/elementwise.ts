import { dataTypeOfCode, isFloating } from "../data-type.js";
import type { Dimension } from "../shape.js";
import type { Inference, OperatorContext } from "./operator-context.js";

const floatingUnary: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  return [{ dtype: context.floating(x), shape: x.shape }];
};

const numericUnary: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  if (x.dtype === "bool") context.fail(`"${x.name}" is bool, but a number is expected`);
  return [{ dtype: x.dtype, shape: x.shape }];
};

const identity: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  return [{ dtype: x.dtype, shape: x.shape, content: context.content(x) }];
};

function arithmetic(fold?: (a: number, b: number) => number): Inference {
  return (context) => {
    const operands = [context.input(0), context.input(1)];
    const dtype = context.sameType(operands);
    if (dtype === "bool") context.fail("numbers are expected, but the inputs are bool");
    return [{ dtype, shape: context.broadcast(operands), content: fold && foldContent(context, fold) }];
  };
}

/** Arithmetic on known integers, as when a graph computes a shape. */
function foldContent(context: OperatorContext, fold: (a: number, b: number) => number): Dimension[] | undefined {
  const a = context.numbers(context.input(0));
  const b = context.numbers(context.input(1));
  if (a === undefined || b === undefined) return undefined;
  if (a.length !== b.length && a.length !== 1 && b.length !== 1) return undefined;
  const length = a.length === 1 ? b.length : a.length;
  const result: number[] = [];
  for (let index = 0; index < length; index++) {
    const value = fold(a[a.length === 1 ? 0 : index] ?? 0, b[b.length === 1 ? 0 : index] ?? 0);
    if (!Number.isSafeInteger(value)) return undefined;
    result.push(value);
  }
  return result;
}

const power: Inference = (context: OperatorContext) => {
  const operands = [context.input(0), context.input(1)];
  return [{ dtype: context.input(0).dtype, shape: context.broadcast(operands) }];
};

const variadic: Inference = (context: OperatorContext) => {
  const operands = context.present();
  return [{ dtype: context.sameType(operands), shape: context.broadcast(operands) }];
};

const comparison: Inference = (context: OperatorContext) => {
  const operands = [context.input(0), context.input(1)];
  context.sameType(operands);
  return [{ dtype: "bool", shape: context.broadcast(operands) }];
};

const logical: Inference = (context: OperatorContext) => {
  const operands = [context.ofType(context.input(0), "bool"), context.ofType(context.input(1), "bool")];
  return [{ dtype: "bool", shape: context.broadcast(operands) }];
};

const where: Inference = (context: OperatorContext) => {
  const condition = context.ofType(context.input(0), "bool");
  const branches = [context.input(1), context.input(2)];
  return [{ dtype: context.sameType(branches), shape: context.broadcast([condition, ...branches]) }];
};

const clip: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  for (const bound of context.inputs.slice(1)) {
    if (bound === undefined) continue;
    context.ofType(bound, x.dtype);
    if (bound.shape.length !== 0) context.fail(`the bound "${bound.name}" must be a scalar`);
  }
  return [{ dtype: x.dtype, shape: x.shape }];
};

const cast: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  const code = context.integer("to", 0);
  const dtype = dataTypeOfCode(code) ?? context.fail(`the data type ${code} is not supported`);
  return [{ dtype, shape: x.shape, content: isFloating(dtype) ? undefined : context.content(x) }];
};

const test: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  context.floating(x);
  return [{ dtype: "bool", shape: x.shape }];
};

/** Operators that work element by element, with broadcasting where they take several tensors. */
export const elementwise: Readonly<Record<string, Inference>> = {
  ...Object.fromEntries(
    ["Exp", "Log", "Sqrt", "Reciprocal", "Sigmoid", "Tanh", "Erf", "Sin", "Cos", "Floor", "Ceil", "Round"].map(
      (name) => [name, floatingUnary],
    ),
  ),
  ...Object.fromEntries(
    ["Softplus", "Softsign", "Elu", "Selu", "LeakyRelu", "HardSigmoid", "HardSwish"].map((name) => [
      name,
      floatingUnary,
    ]),
  ),
  Neg: numericUnary,
  Abs: numericUnary,
  Sign: numericUnary,
  Relu: numericUnary,
  Identity: identity,
  Add: arithmetic((a, b) => a + b),
  Sub: arithmetic((a, b) => a - b),
  Mul: arithmetic((a, b) => a * b),
  Div: arithmetic((a, b) => Math.trunc(a / b)),
  Mod: arithmetic(),
  Pow: power,
  Sum: variadic,
  Mean: variadic,
  Max: variadic,
  Min: variadic,
  Greater: comparison,
  GreaterOrEqual: comparison,
  Less: comparison,
  LessOrEqual: comparison,
  Equal: comparison,
  And: logical,
  Or: logical,
  Xor: logical,
  Not: (context) => [{ dtype: "bool", shape: context.ofType(context.input(0), "bool").shape }],
  IsNaN: test,
  IsInf: test,
  Where: where,
  Clip: clip,
  Cast: cast,
};

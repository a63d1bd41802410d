import { type DataType, dataTypeOfCode, isFloating } from "../format/data-type.js";
import { elementCount } from "../shape.js";
import type { ValueType } from "../value.js";
import {
  add,
  choose,
  decided,
  divide,
  equal,
  type Fold,
  foldContents,
  multiply,
  numeric,
  subtract,
} from "./integers.js";
import type { Inference, OperatorContext } from "./operator-context.js";

const floatingUnary: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  return [{ dtype: context.floating(x), shape: x.shape }];
};

function numericUnary(fold: Fold = () => undefined): Inference {
  return (context) => {
    const x = context.input(0);
    if (x.dtype === "bool") context.fail(`"${x.name}" is bool, but a number is expected`);
    return [{ dtype: x.dtype, shape: x.shape, content: foldContents(context, [x], fold) }];
  };
}

const identity: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  return [{ dtype: x.dtype, shape: x.shape, content: context.content(x) }];
};

function arithmetic(fold: Fold): Inference {
  return (context) => {
    const operands = [context.input(0), context.input(1)];
    const dtype = context.sameType(operands);
    if (dtype === "bool") context.fail("numbers are expected, but the inputs are bool");
    return [{ dtype, shape: context.broadcast(operands), content: foldContents(context, operands, fold) }];
  };
}

const power: Inference = (context: OperatorContext) => {
  const operands = [context.input(0), context.input(1)];
  return [{ dtype: context.input(0).dtype, shape: context.broadcast(operands) }];
};

function variadic(fold: Fold): Inference {
  return (context) => {
    const operands = context.present();
    const content = foldContents(context, operands, fold);
    return [{ dtype: context.sameType(operands), shape: context.broadcast(operands), content }];
  };
}

function comparison(fold: Fold): Inference {
  return (context) => {
    const operands = [context.input(0), context.input(1)];
    context.sameType(operands);
    return [{ dtype: "bool", shape: context.broadcast(operands), content: foldContents(context, operands, fold) }];
  };
}

function logical(fold: (a: number, b: number) => boolean): Inference {
  return (context) => {
    const operands = context.present().map((operand) => context.ofType(operand, "bool"));
    const content = foldContents(context, operands, decided(fold));
    return [{ dtype: "bool", shape: context.broadcast(operands), content }];
  };
}

const where: Inference = (context: OperatorContext) => {
  const condition = context.ofType(context.input(0), "bool");
  const branches = [context.input(1), context.input(2)];
  const operands = [condition, ...branches];
  const content = foldContents(context, operands, choose);
  return [{ dtype: context.sameType(branches), shape: context.broadcast(operands), content }];
};

const clip: Inference = (context: OperatorContext) => {
  const x = context.input(0);
  for (const bound of context.inputs.slice(1)) {
    if (bound === undefined) continue;
    context.ofType(bound, x.dtype);
    if (elementCount(bound.shape) !== 1) context.fail(`the bound "${bound.name}" must be a scalar`);
  }
  return [{ dtype: x.dtype, shape: x.shape }];
};

const cast: Inference = (context: OperatorContext) => {
  const code = context.integer("to", 0);
  return castTo(context, dataTypeOfCode(code) ?? context.fail(`the data type ${code} is not supported`));
};

const castLike: Inference = (context: OperatorContext) => castTo(context, context.input(1).dtype);

function castTo(context: OperatorContext, dtype: DataType): ValueType[] {
  const x = context.input(0);
  const truth = dtype === "bool" && x.dtype !== "bool";
  const content = truth
    ? foldContents(
        context,
        [x],
        decided((a) => a !== 0),
      )
    : context.content(x);
  return [{ dtype, shape: x.shape, content: isFloating(dtype) ? undefined : content }];
}

/** The remainder has the sign of the divisor, or with `fmod` that of the dividend. */
const modulo: Inference = (context: OperatorContext) => {
  const truncated = context.integer("fmod", 0) !== 0;
  return arithmetic(numeric((a = 0, b = 1) => (truncated ? a % b : a - b * Math.floor(a / b))))(context);
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
  Neg: numericUnary((context, a = 0) => multiply(context, -1, a)),
  Abs: numericUnary(numeric(Math.abs)),
  Sign: numericUnary(),
  Relu: numericUnary(),
  Identity: identity,
  Gelu: floatingUnary,
  Add: arithmetic(add),
  Sub: arithmetic(subtract),
  Mul: arithmetic(multiply),
  Div: arithmetic(divide),
  Mod: modulo,
  Pow: power,
  Sum: variadic(() => undefined),
  Mean: variadic(() => undefined),
  Max: variadic(numeric(Math.max)),
  Min: variadic(numeric(Math.min)),
  Greater: comparison(decided((a, b) => a > b)),
  GreaterOrEqual: comparison(decided((a, b) => a >= b)),
  Less: comparison(decided((a, b) => a < b)),
  LessOrEqual: comparison(decided((a, b) => a <= b)),
  Equal: comparison(equal),
  And: logical((a, b) => a !== 0 && b !== 0),
  Or: logical((a, b) => a !== 0 || b !== 0),
  Xor: logical((a, b) => a !== b),
  Not: logical((a) => a === 0),
  IsNaN: test,
  IsInf: test,
  Where: where,
  Clip: clip,
  Cast: cast,
  CastLike: castLike,
};

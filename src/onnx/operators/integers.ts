import { type Dimension, productOf, quotientOf, sumOf } from "../shape.js";
import type { Value } from "../value.js";
import type { OperatorContext } from "./operator-context.js";

/*
 * Arithmetic on the integers that a graph computes shapes with: numbers, or the names of sizes that only a run knows. Booleans are 0
 * and 1. A result that has no name gets a fresh one where it is an integer; where it decides something, nothing is known.
 */

/** One element of the result, or undefined where nothing can be said. */
export type Fold = (context: OperatorContext, ...operands: Dimension[]) => Dimension | undefined;

/** The elements of an elementwise result, where those of all operands are known. */
export function foldContents(
  context: OperatorContext,
  operands: readonly Value[],
  fold: Fold,
): Dimension[] | undefined {
  const contents: (readonly Dimension[])[] = [];
  for (const operand of operands) {
    const content = context.content(operand);
    if (content === undefined) return undefined;
    contents.push(content);
  }
  const length = contents.some((content) => content.length === 0)
    ? 0
    : Math.max(...contents.map(({ length }) => length));
  if (contents.some((content) => content.length !== length && content.length !== 1)) return undefined;
  const result: Dimension[] = [];
  for (let index = 0; index < length; index++) {
    const value = fold(context, ...contents.map((content) => content[content.length === 1 ? 0 : index] ?? 0));
    if (value === undefined || (typeof value === "number" && !Number.isSafeInteger(value))) return undefined;
    result.push(value);
  }
  return result;
}

/** A fold that knows numbers only, and gives other integers a fresh name. */
export function numeric(fold: (...operands: number[]) => number): Fold {
  return (context, ...operands) => (allNumbers(operands) ? fold(...operands) : context.freshNumber());
}

/** A fold of numbers to a truth value; nothing is known of others. */
export function decided(fold: (a: number, b: number) => boolean): Fold {
  return (_, ...operands) => (allNumbers(operands) ? Number(fold(operands[0] ?? 0, operands[1] ?? 0)) : undefined);
}

export const add: Fold = (_, a = 0, b = 0) => sumOf([a, b]);

export const subtract: Fold = (context, a = 0, b = 0) => {
  if (a === b) return 0;
  return typeof b === "number" ? sumOf([a, -b]) : context.freshNumber();
};

export const multiply: Fold = (_, a = 1, b = 1) => productOf([a, b]);

export const divide: Fold = (context, a = 0, b = 1) => {
  if (b === 0) return undefined;
  if (typeof a === "number" && typeof b === "number") return Math.trunc(a / b);
  return quotientOf([a], [b]) ?? context.freshNumber();
};

/** A size is not negative, so that it is told from the -1 that stands for "as it is" in computed shapes. */
export const equal: Fold = (_, a = 0, b = 0) => {
  if (a === b) return 1;
  if (typeof a === "number" && typeof b === "number") return 0;
  const [name, number] = typeof a === "string" ? [a, b] : [b, a];
  return typeof number === "number" && number < 0 && !mayBeNegative(name) ? 0 : undefined;
};

export const choose: Fold = (_, condition, a, b) =>
  typeof condition === "number" ? (condition === 0 ? b : a) : undefined;

function allNumbers(operands: readonly Dimension[]): operands is number[] {
  return operands.every((operand) => typeof operand === "number");
}

function mayBeNegative(dimension: Dimension): boolean {
  return typeof dimension === "number" ? dimension < 0 : /number_\d|-/.test(dimension);
}

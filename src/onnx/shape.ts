/** A dimension: a known size, or the name of one that is known only when the graph runs. Equal names mean equal sizes. */
export type Dimension = number | string;
export type Shape = readonly Dimension[];

/** A shape as text, as in `[64, batch]`. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

/** True for a dimension that no input names: inference could not find it out. */
export function isUnknown(dimension: Dimension): boolean {
  return typeof dimension === "string" && /\b(unknown|number)_\d+/.test(dimension);
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dimension, axis) => dimension === b[axis]);
}

/** True where both have one rank and no known size differs. */
export function mayEqual(a: Shape, b: Shape): boolean {
  return (
    a.length === b.length &&
    a.every((size, axis) => typeof size === "string" || typeof b[axis] === "string" || size === b[axis])
  );
}

/** Number of elements, or undefined where a dimension is symbolic. */
export function elementCount(shape: Shape): number | undefined {
  let count = 1;
  for (const dimension of shape) {
    if (typeof dimension === "string") return undefined;
    count *= dimension;
  }
  return count;
}

/**
 * The shape of a broadcast of two shapes (numpy's rule), or undefined where they do not fit. A symbolic dimension beside a
 * known one other than 1 takes the known size, which the run checks; two different names fit where names are `loose`: the result
 * takes that of an input, or the first.
 */
export function broadcastShapes(a: Shape, b: Shape, loose = false): Dimension[] | undefined {
  const rank = Math.max(a.length, b.length);
  const result: Dimension[] = [];
  for (let fromEnd = rank; fromEnd >= 1; fromEnd--) {
    const dimension = broadcastDimension(a[a.length - fromEnd] ?? 1, b[b.length - fromEnd] ?? 1, loose);
    if (dimension === undefined) return undefined;
    result.push(dimension);
  }
  return result;
}

function broadcastDimension(a: Dimension, b: Dimension, loose: boolean): Dimension | undefined {
  if (a === b || b === 1) return a;
  if (a === 1) return b;
  if (typeof a === "number") return typeof b === "number" ? undefined : a;
  if (typeof b === "number") return b;
  if (!loose) return undefined;
  return isUnknown(a) ? b : a;
}

/** The product of dimensions as a number times names, each name as often as it is a factor. */
class Product {
  factor = 1;
  readonly names: string[] = [];

  constructor(shape: Shape) {
    for (const dimension of shape) {
      if (typeof dimension === "number") this.factor *= dimension;
      else this.#take(dimension);
    }
  }

  /** `512*N` is split into its factors again, so that a reshape back finds `N`. A sum is one factor. */
  #take(dimension: string): void {
    for (const part of termsOf(dimension, "+").length > 1 ? [`(${dimension})`] : termsOf(dimension, "*")) {
      if (/^-?\d+$/.test(part)) this.factor *= Number(part);
      else this.names.push(part);
    }
  }
}

/** A written sum or product in its parts; what stands in brackets stays together. */
function termsOf(written: string, sign: "+" | "*"): string[] {
  const parts = [""];
  let depth = 0;
  for (const character of written) {
    if (character === "(") depth++;
    if (character === ")") depth--;
    if (character === sign && depth === 0) parts.push("");
    else parts.push(`${parts.pop()}${character}`);
  }
  return parts.map((part) => part.trim());
}

/** The product of dimensions as one dimension, as in `16` or `64*batch`. */
export function productOf(shape: Shape): Dimension {
  const { factor, names } = new Product(shape);
  if (names.length === 0 || factor === 0) return factor;
  names.sort();
  const [only = ""] = names;
  if (factor === 1 && names.length === 1) return only.replace(/^\((.*)\)$/, "$1");
  return factor === 1 ? names.join("*") : `${factor}*${names.join("*")}`;
}

/** `whole` divided by `part` where that comes out exactly, else undefined. */
export function quotientOf(whole: Shape, part: Shape): Dimension | undefined {
  const dividend = new Product(whole);
  const divisor = new Product(part);
  for (const name of divisor.names) {
    const at = dividend.names.indexOf(name);
    if (at < 0) return undefined;
    dividend.names.splice(at, 1);
  }
  const factor = dividend.factor / divisor.factor;
  return Number.isInteger(factor) ? productOf([factor, ...dividend.names]) : undefined;
}

/** The sum of dimensions as one dimension, as in `3` or `batch+2`. */
export function sumOf(dimensions: Shape): Dimension {
  const names: string[] = [];
  let known = 0;
  for (const term of dimensions.flatMap((dimension) => termsOf(String(dimension), "+"))) {
    if (/^-?\d+$/.test(term)) known += Number(term);
    else names.push(term);
  }
  if (names.length === 0) return known;
  return known === 0 ? names.join("+") : `${names.join("+")}+${known}`;
}

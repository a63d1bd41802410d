import { InvalidArgumentError } from "commander";

/** A parser of whole numbers within bounds, for commander's options. */
export function integer(minimum: number, maximum = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^-?\d+$/.test(text) && value >= minimum && value <= maximum) return value;
    const bound = maximum === Number.MAX_SAFE_INTEGER ? `at least ${minimum}` : `from ${minimum} to ${maximum}`;
    throw new InvalidArgumentError(`Expected a whole number ${bound}.`);
  };
}

/** A parser of finite numbers. */
export function number(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value)) return value;
  throw new InvalidArgumentError("Expected a number.");
}

/** A parser of JSON objects. */
export function jsonObject(text: string): Record<string, unknown> {
  const value = parse(text);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new InvalidArgumentError(
    'Expected a JSON object, for example \'{"must": [{"key": "group", "equals": "food"}]}\'.',
  );
}

/** A vector: a JSON array of numbers, or base64 of little-endian float32. */
export function vector(text: string): number[] | string {
  if (!text.trimStart().startsWith("[")) return text;
  const value = parse(text);
  if (Array.isArray(value) && value.every((entry) => typeof entry === "number")) return value as number[];
  throw new InvalidArgumentError("Expected a JSON array of numbers, or base64 of little-endian float32.");
}

/** "a, b" as ["a", "b"]. */
export function names(text: string): string[] {
  return text
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InvalidArgumentError(`Not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

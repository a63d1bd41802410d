import { parseArgs } from "node:util";

/** An option of a benchmark: its default decides its type. */
export interface ArgSpec<T extends number | string | boolean | number[] | undefined> {
  default: T;
  describe: string;
}

type Specs = Record<string, ArgSpec<number | string | boolean | number[] | undefined>>;
type Widen<T> = T extends number
  ? number
  : T extends boolean
    ? boolean
    : T extends number[]
      ? number[]
      : T extends undefined
        ? string | undefined
        : string;
export type ArgValues<S extends Specs> = { [K in keyof S]: Widen<S[K]["default"]> } & { json: string | undefined };

const JSON_SPEC = { json: { default: undefined, describe: "write the results to this file" } } as const;

/**
 * Reads `--name value` options by their specifications; `--help` prints them and ends the process. Lists of numbers are
 * written `1,2,5` or `1-10`. An option that makes no sense ends the process with 2.
 */
export function readArgs<const S extends Specs>(description: string, specs: S): ArgValues<S> {
  const all: Specs = { ...specs, ...JSON_SPEC };
  try {
    const options = Object.fromEntries(
      Object.entries(all).map(([name, { default: value }]) => [
        name,
        { type: typeof value === "boolean" ? "boolean" : "string" } as const,
      ]),
    );
    const parsed = parseArgs({ options: { ...options, help: { type: "boolean" } } });
    const values: Record<string, unknown> = parsed.values;
    if (values.help === true) {
      process.stdout.write(helpText(description, all));
      process.exit(0);
    }
    const read = Object.entries(all).map(([name, spec]) => [name, convert(name, values[name], spec.default)]);
    return Object.fromEntries(read) as ArgValues<S>;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${helpText(description, all)}`);
    process.exit(2);
  }
}

function convert(name: string, given: unknown, byDefault: unknown): unknown {
  if (given === undefined) return byDefault;
  if (Array.isArray(byDefault))
    return String(given)
      .split(",")
      .flatMap((part) => readRange(name, part));
  if (typeof byDefault === "number") return readNumber(name, String(given));
  return given;
}

function readRange(name: string, text: string): number[] {
  const range = /^(\d+)-(\d+)$/.exec(text);
  if (range === null) return [readNumber(name, text)];
  const [from, to] = [Number(range[1]), Number(range[2])];
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i);
}

function readNumber(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new Error(`--${name}: expected a number, got "${text}"`);
  return value;
}

function helpText(description: string, specs: Specs): string {
  const lines = Object.entries(specs).map(([name, { default: value, describe }]) => {
    const byDefault = value === undefined || value === false ? "" : ` (default ${String(value)})`;
    return `  --${name.padEnd(16)} ${describe}${byDefault}`;
  });
  return `${description}\n\n${lines.join("\n")}\n`;
}

import { InvalidArgumentError, Option } from "commander";
import type { Limits } from "../collection/index.js";

/** The compiler keeps this list and the limits of the database together. */
const NAMES = {
  bodyBytes: true,
  itemsPerBatch: true,
  queriesPerBatch: true,
  k: true,
  dimensions: true,
  payloadBytes: true,
  imagePixels: true,
  filterDepth: true,
} satisfies Record<keyof Limits, true>;

/** `--limit NAME=VALUE`, which may stand several times. */
export function limitOption(): Option {
  const names = Object.keys(NAMES).join(", ");
  return new Option("--limit <name=value>", `a limit of requests, may be repeated; names: ${names}`).argParser(
    addLimit,
  );
}

function addLimit(text: string, before: Partial<Limits> = {}): Partial<Limits> {
  const [name = "", value = ""] = text.split("=", 2);
  if (!Object.hasOwn(NAMES, name)) {
    throw new InvalidArgumentError(`There is no limit "${name}"; the names are ${Object.keys(NAMES).join(", ")}.`);
  }
  if (!/^[1-9]\d{0,14}$/.test(value)) {
    throw new InvalidArgumentError(`Expected NAME=VALUE with a whole number of at least 1, for example k=1000.`);
  }
  return { ...before, [name]: Number(value) };
}

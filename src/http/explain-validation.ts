import type { FastifySchemaValidationError } from "fastify";
import type { ErrorDetail } from "../errors/index.js";

/** An Ajv error in verbose mode: with the value refused and the schema that refused it. */
interface SchemaError extends FastifySchemaValidationError {
  data?: unknown;
  parentSchema?: SchemaNode;
}

interface SchemaNode {
  $ref?: string;
  type?: string;
  description?: string;
  properties?: Record<string, SchemaNode>;
  required?: string[];
  enum?: unknown[];
  const?: unknown;
  anyOf?: SchemaNode[];
}

/**
 * Turns what the validator said into one reason a person can act on. The validator stops at the first fault, but of a
 * union it reports every alternative; here the alternative that fits best speaks for all.
 */
export function explainValidation(errors: readonly FastifySchemaValidationError[]): ErrorDetail {
  const all = errors as readonly SchemaError[];
  const last = all.at(-1);
  if (last === undefined) return { path: "", message: "does not fit the schema" };
  return last.keyword === "anyOf" ? explainUnion(last, all.slice(0, -1)) : explainOne(last);
}

function explainUnion(union: SchemaError, errors: readonly SchemaError[]): ErrorDetail {
  const deepest = Math.max(0, ...errors.map((error) => depth(error.instancePath)));
  const inside = errors.filter((error) => depth(error.instancePath) === deepest);
  if (deepest > depth(union.instancePath)) {
    const nested = inside.find((error) => error.keyword === "anyOf");
    const first = inside[0];
    if (nested !== undefined) return explainUnion(nested, inside.slice(0, inside.indexOf(nested)));
    if (first !== undefined) return explainOne(first);
  }
  // Alternatives of another type than the value have nothing to say about it.
  const sameType = inside.filter((error) => error.keyword !== "type" && error.keyword !== "anyOf");
  const only = sameType[0];
  return only !== undefined && sameType.length === 1 ? explainOne(only) : explainForms(union);
}

function explainForms(union: SchemaError): ErrorDetail {
  const forms = (union.parentSchema?.anyOf ?? []).map(describeForm);
  return { path: union.instancePath, message: `expected ${list(forms, "or")}, got ${describeValue(union.data)}` };
}

function describeForm(schema: SchemaNode): string {
  if (schema.$ref !== undefined) return `a ${schema.$ref.replace(/#.*$/, "").toLowerCase()}`;
  if (schema.properties !== undefined) return `{${(schema.required ?? Object.keys(schema.properties)).join(", ")}}`;
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  return withArticle(schema.type ?? "another form");
}

function explainOne(error: SchemaError): ErrorDetail {
  const { params, data, parentSchema, instancePath: path } = error;
  switch (error.keyword) {
    case "additionalProperties": {
      const field = String(params.additionalProperty);
      const known = Object.keys(parentSchema?.properties ?? {});
      const hint = known.length === 0 ? "no fields are known here" : `known here: ${known.join(", ")}`;
      return { path: `${path}/${escapePointer(field)}`, message: `unknown field ${quote(field)}; ${hint}` };
    }
    case "required":
      return { path, message: `the field ${quote(String(params.missingProperty))} is missing` };
    case "type":
      return { path, message: `expected ${withArticle(String(params.type))}, got ${describeValue(data)}` };
    case "enum":
      return {
        path,
        message: `expected ${list((parentSchema?.enum ?? []).map(quote), "or")}, got ${describeValue(data)}`,
      };
    case "minProperties":
    case "maxProperties": {
      const known = Object.keys(parentSchema?.properties ?? {}).join(", ");
      const count = error.keyword === "minProperties" ? "at least" : "at most";
      return { path, message: `expected ${count} ${String(params.limit)} of the fields ${known}` };
    }
    default:
      return { path, message: `${error.message ?? "does not fit the schema"}; got ${describeValue(data)}` };
  }
}

function describeValue(value: unknown): string {
  if (value === null || value === undefined) return "nothing (null)";
  // JSON.parse makes Infinity of 1e999.
  if (typeof value === "number" && !Number.isFinite(value)) return "a number too large for float64";
  if (typeof value === "string") return `the string ${quote(value.length > 40 ? `${value.slice(0, 40)}…` : value)}`;
  if (typeof value !== "object") return `the ${typeof value} ${String(value)}`;
  if (Array.isArray(value)) return value.length === 0 ? "an empty array" : `an array of ${value.length}`;
  const fields = Object.keys(value).slice(0, 10);
  return fields.length === 0 ? "an empty object" : `an object with ${fields.map(quote).join(", ")}`;
}

const TYPES: Record<string, string> = {
  object: "an object",
  array: "an array",
  integer: "an integer",
  number: "a finite number",
  string: "a string",
  boolean: "true or false",
  null: "null",
};

const withArticle = (type: string): string => TYPES[type] ?? type;

const list = (words: readonly string[], conjunction: string): string =>
  words.length < 2 ? (words[0] ?? "nothing") : `${words.slice(0, -1).join(", ")} ${conjunction} ${words.at(-1)}`;

const quote = (value: unknown): string => JSON.stringify(value);

/** `~` and `/` have meanings of their own in a JSON pointer (RFC 6901). */
const escapePointer = (field: string): string => field.replaceAll("~", "~0").replaceAll("/", "~1");

const depth = (pointer: string): number => pointer.split("/").length;

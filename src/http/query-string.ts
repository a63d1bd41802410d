import type { FastifyInstance, FastifyRequest } from "fastify";
import type { TObject } from "typebox";

type Converter = (text: string) => unknown;

/** Only the plain spelling of a value counts; any other stays a string, which the schema then refuses by name. */
const CONVERTERS: Record<string, Converter> = {
  integer: (text) => (/^-?\d{1,15}$/.test(text) ? Number(text) : text),
  boolean: (text) => (text === "true" ? true : text === "false" ? false : text),
};

/**
 * Reads query strings and path parameters by the type their schema declares. Bodies are never converted, so this stands
 * outside the validator, which converts nothing. Must be called before the routes are added.
 */
export function readParametersByType(app: FastifyInstance): void {
  app.addHook("onRoute", (route) => {
    const query = convertersOf(route.schema?.querystring);
    const params = convertersOf(route.schema?.params);
    if (query.length === 0 && params.length === 0) return;
    const convert = (request: FastifyRequest, _reply: unknown, done: () => void) => {
      apply(query, request.query);
      apply(params, request.params);
      done();
    };
    route.preValidation = [...[route.preValidation ?? []].flat(), convert];
  });
}

function convertersOf(schema: unknown): [name: string, convert: Converter][] {
  const properties = (schema as TObject | undefined)?.properties ?? {};
  return Object.entries(properties).flatMap(([name, property]) => {
    // Of alternatives, such as true or a word, one may need conversion; the others are strings as they are.
    const types = [property, ...("anyOf" in property ? (property.anyOf as object[]) : [])];
    const convert = types.map((type) => ("type" in type ? CONVERTERS[String(type.type)] : undefined)).find(Boolean);
    return convert === undefined ? [] : [[name, convert] as [string, Converter]];
  });
}

function apply(converters: readonly [string, Converter][], target: unknown): void {
  const values = target as Record<string, unknown>;
  for (const [name, convert] of converters) {
    const value = values[name];
    if (typeof value === "string") values[name] = convert(value);
  }
}

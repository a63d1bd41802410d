import { AttuneApiError } from "./errors.js";

/**
 * A path of the API: each part percent-encoded.
 * @throws invalid_id for a lone surrogate, which no address can hold
 */
export function path(strings: TemplateStringsArray, ...parts: readonly (string | number)[]): string {
  return String.raw({ raw: strings }, ...parts.map((part) => encode(String(part))));
}

function encode(part: string): string {
  try {
    return encodeURIComponent(part);
  } catch {
    const detail = `${JSON.stringify(part)} has a lone surrogate, which no address can hold.`;
    throw new AttuneApiError({
      type: "about:blank",
      title: "The id is not valid",
      status: 422,
      detail,
      code: "invalid_id",
    });
  }
}

/** A query string of what is given, with its question mark; nothing where nothing is. */
export function queryString(values: Record<string, string | number | boolean | undefined>): string {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) if (value !== undefined) given.set(name, String(value));
  return given.size === 0 ? "" : `?${given.toString()}`;
}

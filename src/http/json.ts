import { isUtf8 } from "node:buffer";
import { AttuneError } from "../errors/index.js";

/** Whether `__proto__` may be a key, plain or with escapes: a search of microseconds, so that ordinary bodies pay nothing. */
function isSuspicious(text: string): boolean {
  return text.includes("__proto__") || text.includes("\\u005");
}

/**
 * Parses JSON of a request. UTF-8 must be valid, and no key may be `__proto__`. An empty body is undefined.
 * @throws malformed_json
 */
export function parseJson(bytes: Buffer): unknown {
  if (bytes.length === 0) return undefined;
  if (!isUtf8(bytes)) {
    throw new AttuneError("malformed_json", "The JSON is not valid UTF-8; send it encoded as UTF-8.");
  }
  const hasMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  const text = bytes.toString("utf8", hasMark ? 3 : 0);
  return parse(text, isSuspicious(text) ? refusePrototype : undefined);
}

function parse(text: string, reviver: ((key: string, value: unknown) => unknown) | undefined): unknown {
  try {
    return JSON.parse(text, reviver);
  } catch (error) {
    if (error instanceof AttuneError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new AttuneError("malformed_json", `The JSON cannot be parsed: ${reason}.`, { cause: error });
  }
}

function refusePrototype(key: string, value: unknown): unknown {
  if (key === "__proto__") {
    throw new AttuneError("malformed_json", 'The key "__proto__" is not allowed in JSON sent here; rename it.');
  }
  return value;
}

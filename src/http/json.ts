import { isUtf8 } from "node:buffer";
import { AttuneError } from "../errors/index.js";

/**
 * What may be the key `__proto__`, plain or with escapes, or a number beyond float64. Looking for it takes some 2 us for
 * 10 KB; only a text that has it is parsed the slow way, with a check of every value.
 */
const SUSPICIOUS = /__proto__|\\u005[fF]|\d[eE]\+?\d{3}/;

/**
 * Parses JSON of a request. UTF-8 must be valid, no key may be `__proto__`, and no number overflow (as `1e999` does). An empty body is undefined.
 * @throws malformed_json
 */
export function parseJson(bytes: Buffer): unknown {
  if (bytes.length === 0) return undefined;
  if (!isUtf8(bytes)) {
    throw new AttuneError("malformed_json", "The JSON is not valid UTF-8; send it encoded as UTF-8.");
  }
  const hasMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  const text = bytes.toString("utf8", hasMark ? 3 : 0);
  return parse(text, SUSPICIOUS.test(text) ? checkEntry : undefined);
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

function checkEntry(key: string, value: unknown): unknown {
  if (key === "__proto__") {
    throw new AttuneError("malformed_json", 'The key "__proto__" is not allowed in JSON sent here; rename it.');
  }
  if (value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY) {
    throw new AttuneError("malformed_json", "A number of the JSON is too large for float64; send finite numbers.");
  }
  return value;
}

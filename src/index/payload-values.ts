/** What a filter can compare: JSON's scalars. */
export type ScalarValue = string | number | boolean | null;

/** Objects nested deeper than this cannot be reached by a filter; it bounds the paths that one payload makes. */
export const MAX_PATH_DEPTH = 32;

/**
 * Every dotted path of a payload and the scalars under it. Arrays are passed through: their elements stand under the
 * path of the array, at any depth, so that an array matches when any element does. A path whose value is an object or
 * an empty array is there, with no scalars. A key with a dot in it reads like a path: `{"a.b": 1}` is found as `{"a": {"b": 1}}`.
 */
export function payloadValues(payload: Readonly<Record<string, unknown>>): Map<string, Set<ScalarValue>> {
  const values = new Map<string, Set<ScalarValue>>();
  // A list of its own instead of recursion: arrays of a payload may nest thousands deep.
  const waiting: { path: string; depth: number; value: unknown }[] = [];
  const enter = (object: object, prefix: string, depth: number) => {
    if (depth > MAX_PATH_DEPTH) return;
    for (const [key, value] of Object.entries(object)) waiting.push({ path: prefix + key, depth, value });
  };
  enter(payload, "", 1);
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { path, depth, value } = next;
    let scalars = values.get(path);
    if (scalars === undefined) {
      scalars = new Set();
      values.set(path, scalars);
    }
    if (Array.isArray(value)) for (const element of value) waiting.push({ path, depth, value: element });
    else if (typeof value === "object" && value !== null) enter(value, `${path}.`, depth + 1);
    else scalars.add(value as ScalarValue);
  }
  return values;
}

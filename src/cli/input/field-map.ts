import type { InputRecord } from "./input-record.js";

/** Which fields of a record become the id, the content and the payload of an item. */
export interface FieldMap {
  /** Field of the id, or the record's line in the file when "line". */
  id: { field: string } | "line";
  /** Field of the text or of the vector (an array, JSON of one, or base64). */
  content: { kind: "text" | "vector"; field: string };
  /** Fields of the payload; undefined takes all the others. */
  payload?: readonly string[];
  /** Fields whose strings are read as numbers. */
  numbers: readonly string[];
}

/** Makes an item of a record, or says what is missing. */
export function mapFields(
  record: Record<string, unknown>,
  map: FieldMap,
  line: number,
): Pick<InputRecord, "item" | "problem"> {
  const id = map.id === "line" ? String(line) : record[map.id.field];
  if (map.id !== "line" && (id === undefined || id === ""))
    return { problem: `no value in "${map.id.field}" for the id` };
  const { kind, field } = map.content;
  const content = record[field];
  if (content === undefined) return { problem: `no field "${field}" for the ${kind}` };
  const payload = pickPayload(record, map);
  if (typeof payload === "string") return { problem: payload };
  const item = { id: String(id), [kind]: kind === "vector" ? readVectorField(content) : content };
  return { item: Object.keys(payload).length === 0 ? item : { ...item, payload } };
}

function pickPayload(record: Record<string, unknown>, map: FieldMap): Record<string, unknown> | string {
  const used = [map.content.field, map.id === "line" ? undefined : map.id.field];
  const names = map.payload ?? Object.keys(record).filter((name) => !used.includes(name));
  const payload: Record<string, unknown> = {};
  for (const name of names) {
    const value = record[name];
    if (value === undefined) continue;
    const converted = map.numbers.includes(name) ? readNumberField(value) : value;
    if (converted === undefined) return `"${name}" holds ${JSON.stringify(value)}, which is not a number`;
    payload[name] = converted;
  }
  return payload;
}

/** An empty field is null: it has no number. */
function readNumberField(value: unknown): number | null | undefined {
  if (typeof value === "number") return value;
  if (typeof value !== "string") return undefined;
  if (value.trim() === "") return null;
  const number = Number(value);
  return Number.isFinite(number) ? number : undefined;
}

/** A string that starts like an array is one; any other is base64, which the server reads. */
function readVectorField(value: unknown): unknown {
  if (typeof value !== "string" || !value.trimStart().startsWith("[")) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

import { randomBytes } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { parseJson } from "./json.js";

/** An object of a body, and the vector that belongs into its field `vector`. */
export interface Placement {
  holder: { vector?: unknown };
  vector: Float32Array;
}

export interface JsonWithVectors {
  /** What the JSON says, with a string in the place of each vector that was read apart. */
  value: unknown;
  /** Empty where the JSON was read in the ordinary way. */
  placements: Placement[];
}

/** Stands in the JSON for a vector; nobody outside can send it, because nobody knows it. */
const MARK = `${randomBytes(12).toString("base64")}#`;

const FIELD = Buffer.from('"vector"');
const MINUS = 0x2d;
const PLUS = 0x2b;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN = 0x5b;
const CLOSE = 0x5d;
/** Makes an E small. */
const LOWER = 0x20;
const SMALL_E = 0x65;

/** Powers of ten that float64 holds exactly. */
const POWERS = Array.from({ length: 23 }, (_, exponent) => 10 ** exponent);
/** Digits that are gathered in a float64: each beyond the 16th adds two roundings of 2^-53, so 25 stay below 2^-48. */
const MAX_DIGITS = 25;
/** Twice the largest relative error of such a number and of its scaling, and then some. */
const DOUBT = 2 ** -46;

/** Longer arrays are read in the ordinary way. */
const MAX_NUMBERS = 1 << 16;
const scratch = new Float32Array(MAX_NUMBERS);
/** Where the last array ended. */
let end = 0;
/** A body that is read in turns gives way to others after this. 500 vectors of 512 numbers take 13 to 17 ms in all. */
const SLICE_MS = 2;
/** The end of the body that is read in turns, or was last. */
let last: Promise<unknown> = Promise.resolve();

/**
 * Parses JSON as `parseJson` does, but reads arrays of numbers under the key `vector` straight from the bytes into float32: 512
 * numbers take 20 us so, and 75 us as JSON, checked and copied. The vectors are those that float64 numbers would give, to the
 * last bit. Whatever is unusual (a vector in another place than a query, or an item, of the body; a fault) is read in the ordinary way.
 *
 * @throws malformed_json
 */
export function parseJsonWithVectors(bytes: Buffer): JsonWithVectors {
  const steps = readApart(bytes);
  let step = steps.next();
  while (!step.done) step = steps.next();
  return step.value ?? { value: parseJson(bytes), placements: [] };
}

/**
 * The same for a large body, in slices between which the thread does other things: a query that arrives waits for one slice, not for a
 * whole insert. Several such bodies are read one after the other, or each would have a slice in every turn of the event loop.
 *
 * @throws malformed_json
 */
export function parseJsonInTurns(bytes: Buffer): Promise<JsonWithVectors> {
  const read = last.then(() => readInSlices(bytes));
  last = read.catch(() => {});
  return read;
}

async function readInSlices(bytes: Buffer): Promise<JsonWithVectors> {
  const steps = readApart(bytes);
  // What is made of the body before this one has its turn first.
  await nextTurn();
  let deadline = performance.now() + SLICE_MS;
  let step = steps.next();
  for (; !step.done; step = steps.next()) {
    if (performance.now() < deadline) continue;
    await nextTurn();
    deadline = performance.now() + SLICE_MS;
  }
  return step.value ?? { value: parseJson(bytes), placements: [] };
}

/** Puts the vectors where they belong, once the rest was found good. */
export function placeVectors(placements: readonly Placement[]): void {
  for (const { holder, vector } of placements) holder.vector = vector;
}

/** Stops after each vector. */
function* readApart(bytes: Buffer): Generator<undefined, JsonWithVectors | undefined> {
  const vectors: Float32Array[] = [];
  const rest: Buffer[] = [];
  let taken = 0;
  let next = 0;
  for (let at = bytes.indexOf(FIELD); at !== -1; at = bytes.indexOf(FIELD, next)) {
    next = at + FIELD.length;
    const colon = skipSpace(bytes, next);
    const open = skipSpace(bytes, colon + 1);
    if (bytes[colon] !== COLON || bytes[open] !== OPEN) continue;
    const vector = readNumbers(bytes, open + 1);
    if (vector === undefined) return undefined;
    rest.push(bytes.subarray(taken, open), Buffer.from(`"${MARK}${vectors.length}"`));
    vectors.push(vector);
    taken = end;
    next = end;
    yield;
  }
  if (vectors.length === 0) return undefined;
  rest.push(bytes.subarray(taken));
  try {
    const value = parseJson(Buffer.concat(rest));
    const placements = findPlaces(value, vectors);
    // Some vector stands where none belongs, or was said twice.
    return placements.length === vectors.length ? { value, placements } : undefined;
  } catch {
    // Parsed again, so that the message counts characters as they were sent.
    return undefined;
  }
}

/** Where a body has vectors: itself (a query, or an item of an import), or its queries or items. */
function findPlaces(body: unknown, vectors: readonly Float32Array[]): Placement[] {
  const { queries, items } = (body ?? {}) as { queries?: unknown; items?: unknown };
  const lists = [[body], queries, items].filter(Array.isArray);
  const places: Placement[] = [];
  for (const candidate of lists.flat(1)) {
    const holder = (candidate ?? {}) as Placement["holder"];
    if (typeof holder.vector !== "string" || !holder.vector.startsWith(MARK)) continue;
    const vector = vectors[Number(holder.vector.slice(MARK.length))];
    if (vector !== undefined) places.push({ holder, vector });
  }
  return places;
}

/**
 * Reads numbers up to the closing bracket; sets `end` behind it. Undefined for anything but one or more numbers of JSON. One
 * function on purpose: with a call for each number it took half as long again. Beyond the end a byte is undefined, for which no
 * comparison holds.
 */
function readNumbers(bytes: Buffer, start: number): Float32Array | undefined {
  let at = start;
  for (let count = 0; count < MAX_NUMBERS; at++) {
    if (isSpace(bytes[at])) at = skipSpace(bytes, at);
    const first = at;
    if (bytes[at] === MINUS) at++;
    const wholeFrom = at;
    let digits = 0;
    let byte = bytes[at] as number;
    while (isDigit(byte)) {
      digits = digits * 10 + (byte - ZERO);
      byte = bytes[++at] as number;
    }
    let length = at - wholeFrom;
    if (length === 0 || (length > 1 && bytes[wholeFrom] === ZERO)) return undefined;
    let scale = 0;
    if (byte === POINT) {
      const fractionFrom = ++at;
      byte = bytes[at] as number;
      while (isDigit(byte)) {
        digits = digits * 10 + (byte - ZERO);
        byte = bytes[++at] as number;
      }
      scale = fractionFrom - at;
      if (scale === 0) return undefined;
      length -= scale;
    }
    if ((byte | LOWER) === SMALL_E) {
      const sign = bytes[++at];
      if (sign === MINUS || sign === PLUS) at++;
      const exponentFrom = at;
      let exponent = 0;
      for (byte = bytes[at] as number; isDigit(byte); byte = bytes[++at] as number)
        exponent = exponent * 10 + (byte - ZERO);
      if (at === exponentFrom) return undefined;
      scale += sign === MINUS ? -exponent : exponent;
    }
    const size = length > MAX_DIGITS ? Number.NaN : toFloat32(digits, scale);
    if (Number.isNaN(size)) {
      const number = Number(bytes.toString("latin1", first, at));
      // Beyond float64; as ordinary JSON it is refused with its place.
      if (!Number.isFinite(number)) return undefined;
      scratch[count++] = number;
    } else scratch[count++] = first === wholeFrom ? size : -size;
    if (isSpace(byte)) at = skipSpace(bytes, at);
    if (bytes[at] === CLOSE) {
      end = at + 1;
      return scratch.slice(0, count);
    }
    if (bytes[at] !== COMMA) return undefined;
  }
  return undefined;
}

/** `digits * 10^scale` rounded to float64 and then to float32; NaN where float64 arithmetic cannot tell. */
function toFloat32(digits: number, scale: number): number {
  const power = POWERS[Math.abs(scale)];
  if (power === undefined) return Number.NaN;
  const about = scale < 0 ? digits / power : digits * power;
  const rounded = Math.fround(about);
  // Rounding never turns an order about: what rounds alike on both sides of the doubt rounds so within it.
  const certain = Math.fround(about * (1 - DOUBT)) === rounded && Math.fround(about * (1 + DOUBT)) === rounded;
  return certain ? rounded : Number.NaN;
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= NINE;
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function skipSpace(bytes: Buffer, from: number): number {
  let at = from;
  while (isSpace(bytes[at])) at++;
  return at;
}

import { randomBytes } from "node:crypto";
import { slices } from "../collection/index.js";
import { decodeBase64, viewFloat32 } from "../vector/index.js";
import { parseJson } from "./json.js";
import { MAX_JSON_NUMBERS, readJsonNumbers, skipSpace } from "./json-numbers.js";
import { VectorBlocks } from "./vector-blocks.js";

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
const COLON = 0x3a;
const OPEN = 0x5b;
const QUOTE = 0x22;
const CLOSE = 0x5d;

const scratch = new Float32Array(MAX_JSON_NUMBERS);
/** For vectors of which nobody says when they are done with. */
const sharedBlocks = new VectorBlocks(false);
/** A vector whose end is not among so many bytes is none: an array of `MAX_JSON_NUMBERS` numbers of 25 digits has fewer. */
const MAX_VECTOR_BYTES = 2 * 1024 * 1024;
/** What is read of a body at once, where it is there as a whole: 64 KiB of numbers take .06 ms, .17 without native code. */
const PART_BYTES = 64 * 1024;

/**
 * Parses JSON as `parseJson` does, but reads arrays of numbers under the key `vector` straight from the bytes into float32
 * (`readJsonNumbers`). The vectors are those that float64 numbers would give, to the last bit. Whatever is unusual (a vector in
 * another place than a query, or an item, of the body; a fault) is read in the ordinary way.
 *
 * @throws malformed_json
 */
export function parseJsonWithVectors(bytes: Buffer): JsonWithVectors {
  return new JsonVectorReader().end(bytes);
}

/**
 * The same for a large body, in slices between which the thread does other things.
 *
 * @throws malformed_json
 */
export async function parseJsonInTurns(bytes: Buffer): Promise<JsonWithVectors> {
  const reader = new JsonVectorReader();
  for (let end = PART_BYTES; end < bytes.length; end += PART_BYTES) {
    while (slices.over) await slices.next();
    reader.read(bytes.subarray(0, end));
  }
  return reader.end(bytes);
}

/** Puts the vectors where they belong, once the rest was found good. */
export function placeVectors(placements: readonly Placement[]): void {
  for (const { holder, vector } of placements) holder.vector = vector;
}

/** Takes the vectors out of a body of JSON while it arrives. */
export class JsonVectorReader {
  readonly #vectors: Float32Array[] = [];
  /** Where each begins and ends in the body. */
  readonly #places: { start: number; end: number }[] = [];
  #next = 0;
  /** Something is unusual. */
  #ordinary = false;

  /**
   * @param base64 whether strings of Base64 under `vector` are vectors too; where not, they are left in their place
   * @param memory for the vectors
   */
  constructor(
    private readonly base64 = false,
    private readonly memory = sharedBlocks,
  ) {}

  /** Goes on as far as it can. @param bytes the body from its beginning, as much of it as is there */
  read(bytes: Buffer): void {
    while (!this.#ordinary && this.#readOne(bytes));
  }

  /** @param bytes the whole body. @throws malformed_json */
  end(bytes: Buffer): JsonWithVectors {
    this.read(bytes);
    return this.#assemble(bytes) ?? { value: parseJson(bytes), placements: [] };
  }

  /** False when more of the body is needed. */
  #readOne(bytes: Buffer): boolean {
    const at = bytes.indexOf(FIELD, this.#next);
    if (at === -1) {
      // The beginning of the word may be there.
      this.#next = Math.max(this.#next, bytes.length - FIELD.length + 1);
      return false;
    }
    this.#next = at;
    const colon = skipSpace(bytes, at + FIELD.length);
    const open = skipSpace(bytes, colon + 1);
    if (open >= bytes.length) return false;
    const closing = bytes[open] === OPEN ? CLOSE : this.base64 && bytes[open] === QUOTE ? QUOTE : undefined;
    if (bytes[colon] !== COLON || closing === undefined) return this.#pass(at);
    const close = bytes.indexOf(closing, open + 1);
    if (close === -1) {
      this.#ordinary = bytes.length - open > MAX_VECTOR_BYTES;
      return false;
    }
    const vector =
      closing === CLOSE
        ? readNumbers(bytes, open + 1, close, this.memory)
        : readBase64(bytes.toString("latin1", open + 1, close), this.memory);
    if (vector === undefined && closing === QUOTE) return this.#pass(at);
    if (vector === undefined) {
      this.#ordinary = true;
      return false;
    }
    this.#vectors.push(vector);
    this.#places.push({ start: open, end: close + 1 });
    this.#next = close + 1;
    return true;
  }

  /** Leaves what stands at `at` as it is. */
  #pass(at: number): true {
    this.#next = at + FIELD.length;
    return true;
  }

  /** Undefined when the body has to be read in the ordinary way. */
  #assemble(bytes: Buffer): JsonWithVectors | undefined {
    if (this.#ordinary || this.#vectors.length === 0) return undefined;
    try {
      const value = parseJson(this.#withMarks(bytes));
      const placements = findPlaces(value, this.#vectors);
      // Some vector stands where none belongs, or was said twice.
      return placements.length === this.#vectors.length ? { value, placements } : undefined;
    } catch {
      // Parsed again, so that the message counts characters as they were sent.
      return undefined;
    }
  }

  /** The body with a mark in the place of each vector. */
  #withMarks(bytes: Buffer): Buffer {
    const parts: Buffer[] = [];
    let taken = 0;
    for (const [position, { start, end }] of this.#places.entries()) {
      parts.push(bytes.subarray(taken, start), Buffer.from(`"${MARK}${position}"`));
      taken = end;
    }
    parts.push(bytes.subarray(taken));
    return Buffer.concat(parts);
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

/** Undefined for anything but Base64 of one or more little-endian float32 numbers. */
function readBase64(text: string, memory: VectorBlocks): Float32Array | undefined {
  const bytes = decodeBase64(text, (length) => {
    const { buffer, byteOffset } = memory.take(Math.ceil(length / 4));
    return Buffer.from(buffer, byteOffset, length);
  });
  return bytes === undefined || bytes.length === 0 || bytes.length % 4 !== 0 ? undefined : viewFloat32(bytes);
}

/** Undefined when the body has to be read in the ordinary way. */
function readNumbers(bytes: Buffer, start: number, end: number, memory: VectorBlocks): Float32Array | undefined {
  const count = readJsonNumbers(bytes, start, end, scratch);
  if (count === 0) return undefined;
  const vector = memory.take(count);
  vector.set(scratch.subarray(0, count));
  return vector;
}

import type { PreparedInput } from "../../encoder/index.js";
import { type Contents, lengthOf } from "./contents.js";

/** Items that are sorted by length together, and then handed out in their own order. */
const WINDOW = 4_096;
/** Cells of one run: rows times the longest of them. */
const CELLS_OF_TEXTS = 2_048;
const IMAGES = 32;

/** Rows of a run of inputs of one length. */
export function rowsOfRun(modality: "text" | "image", length: number): number {
  return modality === "image" ? IMAGES : Math.max(1, Math.floor(CELLS_OF_TEXTS / length));
}

/** Gives the embeddings (n x d) of inputs of about one length. */
export type Embed = (inputs: readonly PreparedInput[]) => Promise<Float32Array>;

export interface EncodeItemsRequest {
  contents: Contents;
  /** By number; one without content gets a row of zeros. */
  items: ArrayLike<number>;
  dimensions: number;
  /** Whether the rows of a run must have one length. */
  equalLengths: boolean;
  embed: Embed;
  /** Called, and awaited, after each run with the items done. */
  onRun: (items: number) => Promise<void>;
}

/**
 * Encodes items, hundreds at a time by length so that little is padded.
 * @param visit gets the vectors (count x d) of items `start` to `start + count` of the list, in their order, and is awaited
 */
export async function encodeItems(
  { contents, items, dimensions: d, equalLengths, embed, onRun }: EncodeItemsRequest,
  visit: (start: number, count: number, vectors: Float32Array) => void | Promise<void>,
): Promise<void> {
  for (let start = 0; start < items.length; start += WINDOW) {
    const window = Array.from({ length: Math.min(WINDOW, items.length - start) }, (_, i) => items[start + i] as number);
    const vectors = new Float32Array(window.length * d);
    for (const run of await runsOf(window, contents, equalLengths)) {
      const rows = await embed(run.map(({ input }) => input));
      run.forEach(({ place }, i) => {
        vectors.set(rows.subarray(i * d, (i + 1) * d), place * d);
      });
      await onRun(run.length);
    }
    await visit(start, window.length, vectors);
  }
}

interface Placed {
  place: number;
  input: PreparedInput;
}

async function runsOf(window: readonly number[], contents: Contents, equalLengths: boolean): Promise<Placed[][]> {
  const places = window.flatMap((item, place) => (contents.has(item) ? [place] : []));
  const inputs = await contents.prepare(places.map((place) => window[place] as number));
  const placed = places.map((place, i): Placed => ({ place, input: inputs[i] as PreparedInput }));
  placed.sort((a, b) => lengthOf(a.input) - lengthOf(b.input) || a.place - b.place);
  const runs: Placed[][] = [];
  let open: Placed[] = [];
  for (const each of placed) {
    if (open.length > 0 && !fits(open, each, equalLengths)) {
      runs.push(open);
      open = [];
    }
    open.push(each);
  }
  return open.length > 0 ? [...runs, open] : runs;
}

function fits(open: readonly Placed[], next: Placed, equalLengths: boolean): boolean {
  if (next.input.kind === "pixels") return open.length < IMAGES;
  const length = lengthOf(next.input);
  const last = open[open.length - 1];
  if (equalLengths && last !== undefined && lengthOf(last.input) !== length) return false;
  return (open.length + 1) * length <= CELLS_OF_TEXTS;
}

import { randomStream, STREAMS } from "../context.js";
import { type Field, Judge } from "../gate/judge.js";
import { samplePositions } from "../rows/base-rows.js";
import { MemoryRows } from "../rows/row-files.js";
import { type Embed, encodeItems } from "./encode-items.js";
import type { EncoderContext } from "./encoder-context.js";

/** Embeddings of some items, by number. */
export class EncodedRows {
  readonly #rows: Float32Array;
  readonly #dimensions: number;
  readonly #placeOf: ReadonlyMap<number, number>;

  constructor(items: readonly number[], rows: Float32Array, dimensions: number) {
    this.#placeOf = new Map(items.map((item, place) => [item, place]));
    this.#rows = rows;
    this.#dimensions = dimensions;
  }

  /** Rows of the items of a list, one after the other; zeros for an item that is not among them. */
  gather(items: ArrayLike<number>): Float32Array {
    const d = this.#dimensions;
    const gathered = new Float32Array(items.length * d);
    for (let i = 0; i < items.length; i++) {
      const place = this.#placeOf.get(items[i] as number);
      if (place !== undefined) gathered.set(this.#rows.subarray(place * d, (place + 1) * d), i * d);
    }
    return gathered;
  }
}

/** Encodes items, to be held in memory. */
export async function encodeRows(
  context: EncoderContext,
  embed: Embed,
  items: readonly number[],
): Promise<EncodedRows> {
  const { contents, inputs, pause, task } = context;
  const d = task.dimensions;
  const rows = new Float32Array(items.length * d);
  const request = { contents, items, dimensions: d, equalLengths: inputs.equalLengths, embed, onRun: pause };
  await encodeItems(request, (start, _count, vectors) => rows.set(vectors, start * d));
  return new EncodedRows(items, rows, d);
}

/** Encodes the extra rows and the views of a job, as what comes after the items. */
export async function encodeExtra(context: EncoderContext, embed: Embed): Promise<MemoryRows> {
  const { contents, base, task } = context;
  const others = Array.from({ length: contents.count - base.count }, (_, i) => base.count + i);
  return new MemoryRows((await encodeRows(context, embed, others)).gather(others), task.dimensions);
}

/** Items to rank among while training: a random choice of the collection. */
export function sampledField({ base, task }: EncoderContext, size: number): number[] {
  return [...samplePositions(base.count, size, randomStream(task.seed, STREAMS.sample))];
}

/** A judge of rows encoded anew, and the field of those among them that ranks are counted among. */
export function judgeOf(
  context: EncoderContext,
  encoded: EncodedRows,
  field: readonly number[],
): { judge: Judge; field: Field } {
  const placeOf = new Map(field.map((item, place) => [item, place]));
  return {
    judge: new Judge(context.engine, encoded, context.graph, context.pause),
    field: {
      rows: new MemoryRows(encoded.gather(field), context.task.dimensions),
      positionOf: (item) => placeOf.get(item) ?? -1,
    },
  };
}

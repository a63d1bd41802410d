const FLOAT_BYTES = 4;
const FIRST_ROWS = 1_024;

/** Rows of items, one after the other in memory, each read when it is first asked for: training asks for the same few again and again. */
export class RowTable {
  readonly #read: (item: number, target: Float32Array, at: number) => void;
  readonly #dimensions: number;
  /** Rows that there is room for, the first of them zeros. */
  readonly #maximum: number;
  readonly #placeOf = new Map<number, number>();
  #rows: Float32Array;

  /**
   * @param read copies the row of an item into `target` at row `at`
   * @param bytes the table's largest size; it begins small
   */
  constructor(read: (item: number, target: Float32Array, at: number) => void, dimensions: number, bytes: number) {
    this.#read = read;
    this.#dimensions = dimensions;
    this.#maximum = Math.floor(bytes / (dimensions * FLOAT_BYTES));
    this.#rows = new Float32Array(Math.min(FIRST_ROWS, this.#maximum) * dimensions);
  }

  /** Every row there is room for now, (t, d): of those that no item has yet, the first is zeros and stays so. */
  get rows(): Float32Array {
    return this.#rows;
  }

  /** The rows of items in `rows` as it is then; row 0, zeros, for -1. A full table forgets its items and begins anew. */
  places(items: Int32Array): Int32Array {
    const missing = new Set<number>();
    for (const item of items) if (item >= 0 && !this.#placeOf.has(item)) missing.add(item);
    if (this.#size + missing.size > this.#maximum) this.#placeOf.clear();
    return items.map((item) => (item < 0 ? 0 : this.#place(item)));
  }

  /** Copies the row of an item into `target` at row `at`; where the table is full it is read and not kept. */
  copy(item: number, target: Float32Array, at: number): void {
    if (!this.#placeOf.has(item) && this.#size === this.#maximum) {
      this.#read(item, target, at);
      return;
    }
    const d = this.#dimensions;
    const place = this.#place(item);
    target.set(this.#rows.subarray(place * d, (place + 1) * d), at * d);
  }

  get #size(): number {
    return this.#placeOf.size + 1;
  }

  #place(item: number): number {
    const known = this.#placeOf.get(item);
    if (known !== undefined) return known;
    const place = this.#size;
    if ((place + 1) * this.#dimensions > this.#rows.length) this.#grow();
    this.#read(item, this.#rows, place);
    this.#placeOf.set(item, place);
    return place;
  }

  #grow(): void {
    const grown = new Float32Array(Math.min(2 * this.#rows.length, this.#maximum * this.#dimensions));
    grown.set(this.#rows);
    this.#rows = grown;
  }
}

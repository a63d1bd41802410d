import type { Bitmap } from "./bitmap.js";
import type { ScalarValue } from "./payload-values.js";
import { Posting } from "./posting.js";
import { type Bounds, SortedValues } from "./sorted-values.js";

/** Fewer emptied values than this are not worth a sweep. */
const MIN_SWEEP = 1024;

/** Everything known about one path: who has it, and who has which value there. */
export class PayloadField {
  readonly #present = new Posting();
  readonly #postings = new Map<ScalarValue, Posting>();
  readonly #numbers = new SortedValues<number, Posting>();
  readonly #strings = new SortedValues<string, Posting>();
  /** About how many values have no label left. */
  #emptied = 0;

  get empty(): boolean {
    return this.#present.size === 0;
  }

  add(label: number, values: Iterable<ScalarValue>): void {
    this.#present.add(label);
    for (const value of values) {
      let posting = this.#postings.get(value);
      if (posting === undefined) {
        posting = new Posting();
        this.#postings.set(value, posting);
        if (typeof value === "number") this.#numbers.add(value, posting);
        else if (typeof value === "string") this.#strings.add(value, posting);
      }
      posting.add(label);
    }
  }

  remove(label: number, values: Iterable<ScalarValue>): void {
    this.#present.delete(label);
    for (const value of values) {
      const posting = this.#postings.get(value);
      if (posting === undefined) continue;
      posting.delete(label);
      if (posting.size === 0) this.#emptied++;
    }
    if (this.#emptied > MIN_SWEEP + this.#postings.size / 4) this.#sweep();
  }

  /** Drops values that nobody has any more, many at once: taking one out of a sorted array moves all behind it. */
  #sweep(): void {
    for (const [value, posting] of this.#postings) if (posting.size === 0) this.#postings.delete(value);
    this.#numbers.prune((posting) => posting.size > 0);
    this.#strings.prune((posting) => posting.size > 0);
    this.#emptied = 0;
  }

  addPresent(result: Bitmap): void {
    this.#present.addTo(result);
  }

  addEqual(value: ScalarValue, result: Bitmap): void {
    this.#postings.get(value)?.addTo(result);
  }

  /** Numbers compare with number bounds, strings with string bounds; no value is within bounds of both kinds. */
  addWithin(bounds: Bounds<number | string>, result: Bitmap): void {
    const kinds = new Set(Object.values(bounds).map((bound) => typeof bound));
    if (kinds.size !== 1) return;
    const postings = kinds.has("number")
      ? this.#numbers.within(bounds as Bounds<number>)
      : this.#strings.within(bounds as Bounds<string>);
    for (const posting of postings) posting.addTo(result);
  }
}

import type { Bitmap } from "./bitmap.js";
import type { ScalarValue } from "./payload-values.js";
import { Posting } from "./posting.js";
import { type Bounds, SortedValues } from "./sorted-values.js";

/** Everything known about one path: who has it, and who has which value there. */
export class PayloadField {
  readonly #present = new Posting();
  readonly #postings = new Map<ScalarValue, Posting>();
  readonly #numbers = new SortedValues<number, Posting>();
  readonly #strings = new SortedValues<string, Posting>();

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
      if (posting.size > 0) continue;
      this.#postings.delete(value);
      if (typeof value === "number") this.#numbers.delete(value);
      else if (typeof value === "string") this.#strings.delete(value);
    }
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

import type { Bitmap } from "./bitmap.js";
import { NumberColumn } from "./number-column.js";
import type { ScalarValue } from "./payload-values.js";
import { Posting } from "./posting.js";
import { type Bounds, SortedStrings } from "./sorted-strings.js";

/** Fewer emptied values than this are not worth a sweep. */
const MIN_SWEEP = 1024;

/** Everything known about one path: who has it, and who has which value there. */
export class PayloadField {
  readonly path: string;
  readonly #present = new Posting();
  readonly #postings = new Map<ScalarValue, Posting>();
  readonly #numbers = new NumberColumn();
  readonly #strings = new SortedStrings<Posting>();
  /** About how many values have no label left. */
  #emptied = 0;

  constructor(path: string) {
    this.path = path;
  }

  get empty(): boolean {
    return this.#present.size === 0;
  }

  /** Says that the label has this path, with whatever values. */
  addLabel(label: number): void {
    this.#present.add(label);
  }

  addValue(label: number, value: ScalarValue): void {
    let posting = this.#postings.get(value);
    if (posting === undefined) {
      posting = new Posting();
      this.#postings.set(value, posting);
      if (typeof value === "string") this.#strings.add(value, posting);
    }
    posting.add(label);
    if (typeof value === "number") this.#numbers.add(label, value);
  }

  /** Takes the label out, but for its values other than numbers. */
  removeLabel(label: number): void {
    this.#present.delete(label);
    this.#numbers.remove(label);
  }

  removeValue(label: number, value: ScalarValue): void {
    const posting = this.#postings.get(value);
    if (posting === undefined) return;
    posting.delete(label);
    if (posting.size === 0) this.#emptied++;
    if (this.#emptied > MIN_SWEEP + this.#postings.size / 4) this.#sweep();
  }

  /** Drops values that nobody has any more, many at once: taking one out of a sorted array moves all behind it. */
  #sweep(): void {
    for (const [value, posting] of this.#postings) if (posting.size === 0) this.#postings.delete(value);
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
    if (kinds.has("number")) this.#numbers.addWithin(bounds as Bounds<number>, result);
    else for (const posting of this.#strings.within(bounds as Bounds<string>)) posting.addTo(result);
  }
}

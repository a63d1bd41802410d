/** Values that came since the last merge; a range looks at each of these. */
const MAX_RECENT = 1024;

export interface Bounds<T> {
  gt?: T;
  gte?: T;
  lt?: T;
  lte?: T;
}

/**
 * Distinct strings (in the order of UTF-16 code units, as `<` compares), with something under each, so that those
 * within bounds are found by bisection: a sorted array, and a short list of newcomers that is merged in when it has
 * grown.
 */
export class SortedStrings<V> {
  #sorted: { value: string; under: V }[] = [];
  readonly #recent = new Map<string, V>();

  add(value: string, under: V): void {
    this.#recent.set(value, under);
    if (this.#recent.size > MAX_RECENT + this.#sorted.length / 16) this.#merge();
  }

  /** Keeps only values whose `V` passes the test; takes time for all, so it is for many at once. */
  prune(keep: (under: V) => boolean): void {
    this.#sorted = this.#sorted.filter(({ under }) => keep(under));
    for (const [value, under] of this.#recent) if (!keep(under)) this.#recent.delete(value);
  }

  /** What is under each value that is within all bounds given. */
  *within({ gt, gte, lt, lte }: Bounds<string>): IterableIterator<V> {
    let start = 0;
    let end = this.#sorted.length;
    if (gt !== undefined) start = Math.max(start, this.#firstAt(gt, true));
    if (gte !== undefined) start = Math.max(start, this.#firstAt(gte, false));
    if (lt !== undefined) end = Math.min(end, this.#firstAt(lt, false));
    if (lte !== undefined) end = Math.min(end, this.#firstAt(lte, true));
    for (let i = start; i < end; i++) yield (this.#sorted[i] as { under: V }).under;
    for (const [value, under] of this.#recent) {
      const above = (gt === undefined || value > gt) && (gte === undefined || value >= gte);
      const below = (lt === undefined || value < lt) && (lte === undefined || value <= lte);
      if (above && below) yield under;
    }
  }

  /** The position of the first sorted value that is at least `value`, or greater than it (`after`). */
  #firstAt(value: string, after: boolean): number {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const found = (this.#sorted[middle] as { value: string }).value;
      if (found < value || (after && found === value)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #merge(): void {
    const recent = [...this.#recent].map(([value, under]) => ({ value, under }));
    recent.sort((a, b) => (a.value < b.value ? -1 : 1));
    this.#recent.clear();
    const merged: { value: string; under: V }[] = [];
    let next = 0;
    for (const entry of this.#sorted) {
      for (; next < recent.length && (recent[next] as { value: string }).value < entry.value; next++) {
        merged.push(recent[next] as { value: string; under: V });
      }
      merged.push(entry);
    }
    this.#sorted = merged.concat(recent.slice(next));
  }
}

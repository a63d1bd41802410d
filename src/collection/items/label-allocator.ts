import { AttuneError } from "../../errors/index.js";

const MAX_LABEL = 2 ** 32 - 2;

/**
 * Gives out labels (row numbers), lowest free one first, so that the tail of the row files empties. The label of a replaced
 * or deleted item is set aside and comes back into use only when the index has forgotten its point.
 */
export class LabelAllocator {
  private next: number;
  /** Descending, so that the lowest is popped. */
  private free: number[];
  private readonly aside = new Set<number>();
  private keepers = 0;
  /** Released while they were kept. */
  private kept: number[] = [];

  /** `next` is one past the largest label in use, `free` the unused ones below it. */
  constructor(next: number, free: number[]) {
    this.next = next;
    this.free = free.sort(descending);
  }

  /** One past the largest label ever given out. */
  get bound(): number {
    return this.next;
  }

  /** @throws internal when 2^32 rows are in use */
  take(): number {
    const reused = this.free.pop();
    if (reused !== undefined) return reused;
    if (this.next > MAX_LABEL) throw new AttuneError("internal", "All 2^32 rows of this collection are in use.");
    return this.next++;
  }

  /** Labels that were taken and never reached the index. */
  giveBack(labels: Iterable<number>): void {
    this.refill(labels);
  }

  /** Labels of items that are gone, whose points the index may still hold. */
  setAside(labels: Iterable<number>): void {
    for (const label of labels) this.aside.add(label);
  }

  /** The index holds these no more. Labels that were not set aside are left as they are. */
  release(labels: Iterable<number> = [...this.aside]): void {
    const released = [...labels].filter((label) => this.aside.delete(label));
    if (this.keepers === 0) this.refill(released);
    else for (const label of released) this.kept.push(label);
  }

  /** Until the result is called, labels that are released stay out of use. */
  keep(): () => void {
    this.keepers++;
    return () => {
      if (--this.keepers > 0) return;
      this.refill(this.kept);
      this.kept = [];
    };
  }

  private refill(labels: Iterable<number>): void {
    const before = this.free.length;
    for (const label of labels) this.free.push(label);
    if (this.free.length > before) this.free.sort(descending);
  }
}

function descending(a: number, b: number): number {
  return b - a;
}

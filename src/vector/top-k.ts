/** Neighbours of one query, nearest first, ties ascending by label. `labels[i]` is at `distances[i]`. */
export interface SearchHits {
  labels: Uint32Array;
  distances: Float64Array;
}

/**
 * Keeps the `k` nearest of the candidates pushed, in a binary heap with the farthest on top. Among equal distances
 * the smaller label is nearer, so the result does not depend on the order of pushing.
 */
export class TopK {
  readonly k: number;
  #size = 0;
  #labels: Uint32Array;
  #distances: Float64Array;

  /** @param k at least 0; memory grows with what is pushed, not with `k` */
  constructor(k: number) {
    this.k = k;
    const capacity = Math.min(k, 64);
    this.#labels = new Uint32Array(capacity);
    this.#distances = new Float64Array(capacity);
  }

  get size(): number {
    return this.#size;
  }

  /** The distance beyond which a candidate cannot enter any more; Infinity while there is room. */
  get bound(): number {
    if (this.#size < this.k) return Number.POSITIVE_INFINITY;
    return this.k === 0 ? Number.NEGATIVE_INFINITY : (this.#distances[0] as number);
  }

  push(label: number, distance: number): void {
    if (this.#size < this.k) {
      if (this.#size === this.#labels.length) this.#grow();
      this.#siftUp(this.#size++, label, distance);
    } else if (this.k > 0 && this.#isFarther(0, label, distance)) {
      this.#siftDown(0, this.#size, label, distance);
    }
  }

  /** What was kept, nearest first. The collector is empty afterwards. */
  sorted(): SearchHits {
    const count = this.#size;
    for (let end = count - 1; end > 0; end--) {
      const label = this.#labels[end] as number;
      const distance = this.#distances[end] as number;
      this.#labels[end] = this.#labels[0] as number;
      this.#distances[end] = this.#distances[0] as number;
      this.#siftDown(0, end, label, distance);
    }
    this.#size = 0;
    return { labels: this.#labels.slice(0, count), distances: this.#distances.slice(0, count) };
  }

  /** Whether the entry at `position` is farther than the candidate. */
  #isFarther(position: number, label: number, distance: number): boolean {
    const kept = this.#distances[position] as number;
    return kept > distance || (kept === distance && (this.#labels[position] as number) > label);
  }

  #siftUp(from: number, label: number, distance: number): void {
    let position = from;
    while (position > 0) {
      const parent = (position - 1) >>> 1;
      if (this.#isFarther(parent, label, distance)) break;
      this.#labels[position] = this.#labels[parent] as number;
      this.#distances[position] = this.#distances[parent] as number;
      position = parent;
    }
    this.#labels[position] = label;
    this.#distances[position] = distance;
  }

  #siftDown(from: number, size: number, label: number, distance: number): void {
    let position = from;
    for (let child = 2 * position + 1; child < size; child = 2 * position + 1) {
      const right = child + 1;
      if (right < size && this.#isFarther(right, this.#labels[child] as number, this.#distances[child] as number)) {
        child = right;
      }
      if (!this.#isFarther(child, label, distance)) break;
      this.#labels[position] = this.#labels[child] as number;
      this.#distances[position] = this.#distances[child] as number;
      position = child;
    }
    this.#labels[position] = label;
    this.#distances[position] = distance;
  }

  #grow(): void {
    const capacity = Math.min(this.k, this.#labels.length * 2);
    const labels = new Uint32Array(capacity);
    const distances = new Float64Array(capacity);
    labels.set(this.#labels);
    distances.set(this.#distances);
    this.#labels = labels;
    this.#distances = distances;
  }
}

/** Whether equal distances are in the order of their labels. */
export function tiesAscend({ labels, distances }: SearchHits): boolean {
  for (let i = 1; i < labels.length; i++) {
    if (distances[i] === distances[i - 1] && (labels[i] as number) < (labels[i - 1] as number)) return false;
  }
  return true;
}

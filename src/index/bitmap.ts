/**
 * A set of labels, one bit each, which grows as labels are set. `and`, `or` and `andNot` change the set they are
 * called on and return it; `clone` first to keep the original.
 */
export class Bitmap {
  #words: Uint32Array;

  /** @param words the bits to begin with, label `32 * i + j` at bit `j` of `words[i]`; the set takes the array over */
  constructor(words: Uint32Array = new Uint32Array(0)) {
    this.#words = words;
  }

  static of(labels: Iterable<number>): Bitmap {
    const bitmap = new Bitmap();
    for (const label of labels) bitmap.set(label);
    return bitmap;
  }

  /** The bits; may end in zeros, and is replaced by another array when the set grows. */
  get words(): Uint32Array {
    return this.#words;
  }

  set(label: number): void {
    const word = label >>> 5;
    if (word >= this.#words.length) this.#grow(word + 1);
    this.#words[word] = (this.#words[word] as number) | (1 << (label & 31));
  }

  /** Sets labels `32 * position + j` for each bit `j` of `bits`. */
  setWord(position: number, bits: number): void {
    if (position >= this.#words.length) this.#grow(position + 1);
    this.#words[position] = (this.#words[position] as number) | bits;
  }

  clear(label: number): void {
    const word = label >>> 5;
    if (word < this.#words.length) this.#words[word] = (this.#words[word] as number) & ~(1 << (label & 31));
  }

  has(label: number): boolean {
    const word = label >>> 5;
    return word < this.#words.length && (((this.#words[word] as number) >>> (label & 31)) & 1) === 1;
  }

  /** How many labels are set. */
  count(): number {
    let count = 0;
    for (let i = 0; i < this.#words.length; i++) count += popcount(this.#words[i] as number);
    return count;
  }

  /** How many labels are set here and in `other`. */
  countAnd(other: Bitmap): number {
    const words = Math.min(this.#words.length, other.#words.length);
    let count = 0;
    for (let i = 0; i < words; i++) count += popcount((this.#words[i] as number) & (other.#words[i] as number));
    return count;
  }

  /** How many labels are set and pass the test. */
  countWhere(test: (label: number) => boolean): number {
    let count = 0;
    for (let i = 0; i < this.#words.length; i++) {
      for (let word = this.#words[i] as number; word !== 0; word &= word - 1) {
        if (test(i * 32 + 31 - Math.clz32(word & -word))) count++;
      }
    }
    return count;
  }

  equals(other: Bitmap): boolean {
    const length = Math.max(this.#words.length, other.#words.length);
    for (let i = 0; i < length; i++) if ((this.#words[i] ?? 0) !== (other.#words[i] ?? 0)) return false;
    return true;
  }

  and(other: Bitmap): this {
    const words = this.#words;
    for (let i = 0; i < words.length; i++) words[i] = (words[i] as number) & (other.#words[i] ?? 0);
    return this;
  }

  or(other: Bitmap): this {
    if (other.#words.length > this.#words.length) this.#grow(other.#words.length);
    for (let i = 0; i < other.#words.length; i++) {
      this.#words[i] = (this.#words[i] as number) | (other.#words[i] as number);
    }
    return this;
  }

  andNot(other: Bitmap): this {
    const words = Math.min(this.#words.length, other.#words.length);
    for (let i = 0; i < words; i++) this.#words[i] = (this.#words[i] as number) & ~(other.#words[i] as number);
    return this;
  }

  clone(): Bitmap {
    return new Bitmap(this.#words.slice());
  }

  /** Up to `limit` set labels from `from` on, ascending. */
  next(from: number, limit: number): number[] {
    const labels: number[] = [];
    for (let i = from >>> 5; i < this.#words.length && labels.length < limit; i++) {
      let word = this.#words[i] as number;
      if (i === from >>> 5) word &= -1 << (from & 31);
      for (; word !== 0 && labels.length < limit; word &= word - 1) labels.push(i * 32 + 31 - Math.clz32(word & -word));
    }
    return labels;
  }

  /** Every set label, ascending. */
  *[Symbol.iterator](): IterableIterator<number> {
    for (let i = 0; i < this.#words.length; i++) {
      for (let word = this.#words[i] as number; word !== 0; word &= word - 1)
        yield i * 32 + 31 - Math.clz32(word & -word);
    }
  }

  #grow(words: number): void {
    const grown = new Uint32Array(Math.max(words, Math.ceil(this.#words.length * 1.5)));
    grown.set(this.#words);
    this.#words = grown;
  }
}

/** How many bits of a 32-bit word are 1 (Hacker's Delight, figure 5-2). */
function popcount(word: number): number {
  let x = word - ((word >>> 1) & 0x55555555);
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  return Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

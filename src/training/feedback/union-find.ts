/**
 * Disjoint sets of the integers that were named, by size and with path halving.
 * @see Tarjan, van Leeuwen 1984
 */
export class UnionFind {
  #parent = new Map<number, number>();
  #size = new Map<number, number>();

  /** Adds an element as a set of its own, unless it is there. */
  add(element: number): void {
    if (this.#parent.has(element)) return;
    this.#parent.set(element, element);
    this.#size.set(element, 1);
  }

  /** The representative of an element's set; an element never added is its own. */
  find(element: number): number {
    let at = element;
    for (;;) {
      const parent = this.#parent.get(at);
      if (parent === undefined || parent === at) return at;
      const grandparent = this.#parent.get(parent) ?? parent;
      this.#parent.set(at, grandparent);
      at = grandparent;
    }
  }

  /** Joins the sets of two elements, adding them where they are new. */
  union(a: number, b: number): void {
    this.add(a);
    this.add(b);
    const [rootA, rootB] = [this.find(a), this.find(b)];
    if (rootA === rootB) return;
    const [sizeA, sizeB] = [this.#size.get(rootA) ?? 1, this.#size.get(rootB) ?? 1];
    const [large, small] = sizeA >= sizeB ? [rootA, rootB] : [rootB, rootA];
    this.#parent.set(small, large);
    this.#size.set(large, sizeA + sizeB);
  }
}

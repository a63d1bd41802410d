import { Bitmap } from "../../index/index.js";

/**
 * The live items in memory: id to label and back, when its content was set, and whether it has a payload. It is rebuilt from Level on open and changed
 * only after a commit, so it always shows what is on disk. About 100 bytes an item beside the id itself.
 */
export class ItemTable {
  /** Bit `label` is set when a live item has that label. */
  readonly live = new Bitmap();
  private readonly labels = new Map<string, number>();
  private readonly ids: (string | undefined)[] = [];
  private contentSequences = new Float64Array(1024);
  /** Bit `label` is set when the item has a payload. */
  private readonly payloads = new Bitmap();

  get count(): number {
    return this.labels.size;
  }

  labelOf(id: string): number | undefined {
    return this.labels.get(id);
  }

  idOf(label: number): string | undefined {
    return this.ids[label];
  }

  /** Sequence at which the content (text or vector) under `label` was set. */
  contentSequenceOf(label: number): number {
    return this.contentSequences[label] ?? 0;
  }

  /** The content sequence of item `id`, or undefined when there is no such item. */
  contentSequence(id: string): number | undefined {
    const label = this.labels.get(id);
    return label === undefined ? undefined : this.contentSequenceOf(label);
  }

  /** Whether the item under `label` has a payload; for one that has none, its record need not be read. */
  hasPayload(label: number): boolean {
    return this.payloads.has(label);
  }

  set(id: string, label: number, contentSequence: number, hasPayload: boolean): void {
    const before = this.labels.get(id);
    if (before !== undefined && before !== label) this.drop(before);
    this.grow(label + 1);
    this.labels.set(id, label);
    this.ids[label] = id;
    this.contentSequences[label] = contentSequence;
    this.live.set(label);
    if (hasPayload) this.payloads.set(label);
    else this.payloads.clear(label);
  }

  remove(id: string): void {
    const label = this.labels.get(id);
    if (label === undefined) return;
    this.labels.delete(id);
    this.drop(label);
  }

  /** Labels of every live item, ascending, with the sequence at which the content of each was set. */
  snapshot(): { labels: Uint32Array; sequences: Float64Array } {
    const labels = new Uint32Array(this.count);
    const sequences = new Float64Array(this.count);
    let position = 0;
    for (let label = 0; label < this.ids.length; label++) {
      if (this.ids[label] === undefined) continue;
      labels[position] = label;
      sequences[position++] = this.contentSequenceOf(label);
    }
    return { labels, sequences };
  }

  /** Labels of the live items whose content was set after `sequence`, ascending. */
  changedSince(sequence: number): Uint32Array {
    const changed: number[] = [];
    for (let label = 0; label < this.ids.length; label++) {
      if (this.ids[label] !== undefined && this.contentSequenceOf(label) > sequence) changed.push(label);
    }
    return Uint32Array.from(changed);
  }

  private drop(label: number): void {
    this.ids[label] = undefined;
    this.live.clear(label);
    this.payloads.clear(label);
  }

  private grow(size: number): void {
    if (size <= this.contentSequences.length) return;
    const contentSequences = new Float64Array(Math.max(size, this.contentSequences.length * 2));
    contentSequences.set(this.contentSequences);
    this.contentSequences = contentSequences;
  }
}

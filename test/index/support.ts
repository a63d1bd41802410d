import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import type { LiveRows, SearchHits, VectorIndex } from "../../src/index/index.js";
import type { Metric, Random } from "../../src/vector/index.js";

/** A folder that is gone when the test file ends. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "attune-index-"));
  after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Closes an index when the test is over, however it ends: its thread would keep the process alive. */
export function closedAfter(index: VectorIndex): VectorIndex {
  after(() => index.close());
  return index;
}

/** Expects a rejection with an error code. */
export const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected;

/** A row file and what the collection knows about it: the oracle of these tests. */
export class RowModel {
  readonly path: string;
  readonly live = new Map<number, { row: Float32Array; sequence: number }>();
  sequence = 0;
  readonly #file: number;

  constructor(
    readonly dimensions: number,
    readonly metric: Metric,
    directory = temporaryDirectory(),
  ) {
    this.path = join(directory, "rows.f32");
    this.#file = openSync(this.path, "w");
    after(() => closeSync(this.#file));
  }

  get source() {
    return { path: this.path, dimensions: this.dimensions };
  }

  write(label: number, row: Float32Array): void {
    const bytes = Buffer.alloc(row.length * 4);
    row.forEach((x, i) => {
      bytes.writeFloatLE(x, i * 4);
    });
    writeSync(this.#file, bytes, 0, bytes.length, label * bytes.length);
    this.live.set(label, { row, sequence: ++this.sequence });
  }

  remove(label: number): void {
    this.live.delete(label);
    this.sequence++;
  }

  liveRows(): LiveRows {
    return {
      labels: Uint32Array.from(this.live.keys()),
      sequences: Float64Array.from(this.live.values(), ({ sequence }) => sequence),
    };
  }

  /** Naive distance, from the definition. */
  distance(query: Float32Array, row: Float32Array): number {
    let product = 0;
    let a = 0;
    let b = 0;
    let square = 0;
    for (let i = 0; i < query.length; i++) {
      product += query[i]! * row[i]!;
      a += query[i]! ** 2;
      b += row[i]! ** 2;
      square += (query[i]! - row[i]!) ** 2;
    }
    return this.metric === "cosine" ? 1 - product / Math.sqrt(a * b) : Math.sqrt(square);
  }

  nearest(query: Float32Array, k: number, allowed: (label: number) => boolean = () => true) {
    return [...this.live]
      .filter(([label]) => allowed(label))
      .map(([label, { row }]) => ({ label, distance: this.distance(query, row) }))
      .sort((x, y) => x.distance - y.distance || x.label - y.label)
      .slice(0, k);
  }

  /**
   * Checks what must hold for any answer: as many hits as there are, no label twice, only live and allowed ones, their
   * true distances, ascending. Returns the share of hits that are as near as the true k nearest.
   */
  check(hits: SearchHits, query: Float32Array, k: number, allowed: (label: number) => boolean = () => true): number {
    const expected = this.nearest(query, k, allowed);
    const labels = [...hits.labels];
    if (labels.length !== expected.length) throw new Error(`${labels.length} hits, expected ${expected.length}`);
    if (new Set(labels).size !== labels.length) throw new Error(`a label twice: ${labels.join(" ")}`);
    const farthest = expected.at(-1)?.distance ?? 0;
    let good = 0;
    labels.forEach((label, i) => {
      const item = this.live.get(label);
      if (item === undefined || !allowed(label)) throw new Error(`label ${label} should not be found`);
      const distance = this.distance(query, item.row);
      // Near 0 a Euclidean distance is the root of a difference of float32 squares.
      const tolerance = this.metric === "cosine" ? 2e-6 : 2e-3;
      if (Math.abs(distance - hits.distances[i]!) > tolerance) {
        throw new Error(`label ${label} at ${hits.distances[i]}, expected ${distance}`);
      }
      if (i > 0) {
        const step = hits.distances[i]! - hits.distances[i - 1]!;
        if (step < 0 || (step === 0 && label < labels[i - 1]!)) throw new Error(`hit ${i} is out of order`);
      }
      if (distance <= farthest + tolerance) good++;
    });
    return expected.length === 0 ? 1 : good / expected.length;
  }
}

/** Rows around centres, as embeddings of real things lie. */
export class Clusters {
  readonly #centres: Float32Array[];

  constructor(
    readonly random: Random,
    readonly dimensions: number,
    count = 20,
    readonly spread = 0.5,
  ) {
    this.#centres = Array.from({ length: count }, () =>
      Float32Array.from({ length: dimensions }, () => random.normal()),
    );
  }

  row(cluster = this.random.integer(this.#centres.length)): Float32Array {
    const centre = this.#centres[cluster]!;
    return centre.map((x) => x + this.spread * this.random.normal());
  }

  rows(count: number): Float32Array[] {
    return Array.from({ length: count }, () => this.row());
  }
}

/** Rows one after the other. */
export function flat(rows: readonly Float32Array[]): Float32Array {
  const dimensions = rows[0]?.length ?? 0;
  const all = new Float32Array(rows.length * dimensions);
  rows.forEach((row, i) => {
    all.set(row, i * dimensions);
  });
  return all;
}

export const uint32 = (...labels: number[]) => Uint32Array.from(labels);

import { setImmediate as nextTurn } from "node:timers/promises";
import { AttuneError } from "../errors/index.js";
import { metricOf, type SearchHits } from "../vector/index.js";
import { Bitmap } from "./bitmap.js";
import { checkSearch } from "./checks.js";
import { ExactScan } from "./exact-scan.js";
import { RowFile } from "./row-file.js";
import { FileRows } from "./scanned-rows.js";
import type { IndexOptions, IndexStatus, RebuildResult, SearchOptions, VectorIndex } from "./vector-index.js";

/** How long a search compares before other work of the thread has its turn. */
const TURN_MS = 2;
const MAX_RESCANS = 3;

/**
 * Opens an index without a graph: each search compares with every live row of the file, in this thread, a few
 * milliseconds at a time. For small collections, and as the measure of the other.
 *
 * @throws internal the row file cannot be read
 */
export async function openExactIndex(options: IndexOptions): Promise<VectorIndex> {
  return new ExactIndex(options);
}

class ExactIndex implements VectorIndex {
  readonly #rows: RowFile;
  readonly #live = new Bitmap();
  readonly #scans = new Set<ExactScan>();
  #closed = false;

  constructor({ rows, metric, live }: IndexOptions) {
    this.#rows = openRows(rows, metric);
    for (const label of live.labels) this.#live.set(label);
  }

  async add(labels: Uint32Array): Promise<void> {
    this.#checkOpen();
    // Read once, so that a label without a row is refused here and not by every search after.
    this.#rows.read(labels);
    for (const label of labels) {
      this.#touch(label);
      this.#live.set(label);
    }
  }

  async remove(labels: Uint32Array): Promise<void> {
    this.#checkOpen();
    for (const label of labels) {
      this.#touch(label);
      this.#live.clear(label);
    }
  }

  async search(queries: Float32Array, count: number, options: SearchOptions): Promise<SearchHits[]> {
    this.#checkOpen();
    const { dimensions, space } = this.#rows;
    checkSearch(queries, count, dimensions, options);
    const prepared = queries.slice();
    const allow = options.allow?.clone();
    space.preprocess(prepared, dimensions);
    for (let attempt = 0; ; attempt++) {
      const target = allow === undefined ? this.#live.clone() : allow.clone().and(this.#live);
      const k = Math.min(options.k, target.count());
      const scan = new ExactScan(new FileRows(this.#rows), target);
      const share = scan.join(prepared, k);
      await this.#run(scan);
      const { hits, disturbed } = scan.finish(share);
      if (!disturbed || attempt === MAX_RESCANS) return hits;
    }
  }

  async status(): Promise<IndexStatus> {
    this.#checkOpen();
    const bytesInMemory = this.#live.words.byteLength;
    return { points: this.#live.count(), tombstones: 0, lag: 0, provisional: false, bytesInMemory };
  }

  setEfSearch(): void {}

  async drain(): Promise<void> {
    this.#checkOpen();
  }

  async rebuild(): Promise<RebuildResult> {
    this.#checkOpen();
    return { points: this.#live.count(), reclaimed: 0, milliseconds: 0 };
  }

  async snapshot(): Promise<void> {
    this.#checkOpen();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#rows.close();
  }

  async #run(scan: ExactScan): Promise<void> {
    this.#scans.add(scan);
    try {
      let deadline = performance.now() + TURN_MS;
      while (!scan.step()) {
        if (performance.now() < deadline) continue;
        await nextTurn();
        this.#checkOpen();
        deadline = performance.now() + TURN_MS;
      }
    } finally {
      this.#scans.delete(scan);
    }
  }

  #touch(label: number): void {
    for (const scan of this.#scans) scan.touch(label);
  }

  #checkOpen(): void {
    if (this.#closed) throw new AttuneError("shutting_down", "the index is closed; open it again to use it");
  }
}

function openRows(source: IndexOptions["rows"], metric: IndexOptions["metric"]): RowFile {
  try {
    return new RowFile(source, metricOf(metric));
  } catch (cause) {
    throw new AttuneError("internal", `the vector file cannot be opened: ${(cause as Error).message}`, { cause });
  }
}

import type { SearchHits } from "../vector/index.js";
import type { Bitmap } from "./bitmap.js";
import { ExactScan } from "./exact-scan.js";
import type { ScannedRows } from "./scanned-rows.js";

/** How often a scan is made again because rows changed under it; then its answer goes out without them. */
const MAX_RESCANS = 3;

/** A scan that has not begun. */
interface OpenScan {
  scan: ExactScan;
  among: Bitmap;
  allow: Bitmap | undefined;
}

/** Exact scans, each made once for all searches that want the same rows compared at the same moment. */
export class JoinedScans {
  readonly #rows: ScannedRows;
  readonly #running = new Set<ExactScan>();
  #open: OpenScan[] = [];

  constructor(rows: ScannedRows) {
    this.#rows = rows;
  }

  /** Says that labels have rows now that they did not have: whoever searches from now on finds them. */
  added(): void {
    this.#open = [];
  }

  /** Says that a label was removed, or is about to have another row. */
  removed(label: number): void {
    this.#open = [];
    for (const scan of this.#running) scan.touch(label);
  }

  /**
   * The `k` nearest to each preprocessed query (flat), in short steps.
   *
   * @param among labels as they are now; the same object where searches may join
   * @param allow only labels of this set
   */
  *search(
    among: Bitmap,
    allow: Bitmap | undefined,
    queries: Float32Array,
    k: number,
  ): Generator<undefined, SearchHits[]> {
    for (let attempt = 0; ; attempt++) {
      const scan = this.#scanOf(among, allow);
      const share = scan.join(queries, k);
      yield;
      try {
        while (!scan.step()) yield;
      } finally {
        this.#running.delete(scan);
      }
      const { hits, disturbed } = scan.finish(share);
      if (!disturbed || attempt === MAX_RESCANS) return hits;
    }
  }

  /** One that waits for its first step, or a new one. */
  #scanOf(among: Bitmap, allow: Bitmap | undefined): ExactScan {
    this.#open = this.#open.filter(({ scan }) => !scan.begun);
    const joined = this.#open.find((open) => open.among === among && areEqual(open.allow, allow));
    if (joined !== undefined) return joined.scan;
    const scan = new ExactScan(this.#rows, allow === undefined ? among.clone() : allow.clone().and(among));
    this.#running.add(scan);
    this.#open.push({ scan, among, allow });
    return scan;
  }
}

function areEqual(a: Bitmap | undefined, b: Bitmap | undefined): boolean {
  return a === undefined || b === undefined ? a === b : a.equals(b);
}

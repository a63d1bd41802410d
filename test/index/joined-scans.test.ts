import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Bitmap } from "../../src/index/index.js";
import { JoinedScans } from "../../src/index/joined-scans.js";
import { RowFile } from "../../src/index/row-file.js";
import { FileRows } from "../../src/index/scanned-rows.js";
import { metricOf, type SearchHits, type TopK } from "../../src/vector/index.js";
import { RowModel } from "./support.js";

type Steps = Generator<undefined, SearchHits[]>;

/** Ten rows, 0 to 9, and how many blocks of them were compared. */
class CountedRows extends FileRows {
  compared = 0;
  #block: number[] | undefined;

  static make(): CountedRows {
    const model = new RowModel(1, "euclidean");
    for (let label = 0; label < 10; label++) model.write(label, Float32Array.of(label));
    return new CountedRows(new RowFile(model.source, metricOf("euclidean")));
  }

  override compare(queries: Float32Array, labels: number[], tops: readonly TopK[]): void {
    // Not every build of hnswlib-node compares with all queries at once.
    if (labels !== this.#block) this.compared++;
    this.#block = labels;
    super.compare(queries, labels, tops);
  }
}

/** Takes a step of each in turn, as an index's thread does, and tells the labels each has found. */
function runAll(...searches: Steps[]): number[][] {
  const found: number[][] = searches.map(() => []);
  const open = new Set(searches.keys());
  while (open.size > 0)
    for (const i of open) {
      const step = searches[i]!.next();
      if (!step.done) continue;
      found[i] = step.value.flatMap(({ labels }) => [...labels]);
      open.delete(i);
    }
  return found;
}

describe("JoinedScans", () => {
  const labels = () => Bitmap.of([1, 3, 5, 8]);
  const query = (value: number) => Float32Array.of(value);

  it("compares once for searches that want the same at the same moment", () => {
    const rows = CountedRows.make();
    const scans = new JoinedScans(rows);
    const among = labels();
    const allow = () => Bitmap.of([3, 5, 6]);
    const one = runAll(scans.search(among, undefined, query(0), 2), scans.search(among, undefined, query(9), 1));
    assert.deepEqual([one, rows.compared], [[[1, 3], [8]], 1]);
    const two = runAll(scans.search(among, allow(), query(0), 2), scans.search(among, allow(), query(9), 2));
    assert.deepEqual(
      [two, rows.compared],
      [
        [
          [3, 5],
          [5, 3],
        ],
        2,
      ],
    );
  });

  it("does not mix searches of other sets, or that begin when another is under way", () => {
    const rows = CountedRows.make();
    const scans = new JoinedScans(rows);
    const [among, other] = [labels(), Bitmap.of([0, 9])];
    const found = runAll(
      scans.search(among, undefined, query(0), 1),
      scans.search(among, Bitmap.of([5]), query(0), 1),
      scans.search(among, Bitmap.of([8]), query(0), 1),
      scans.search(other, undefined, query(0), 1),
    );
    assert.deepEqual([found, rows.compared], [[[1], [5], [8], [0]], 4]);
    const first = scans.search(among, undefined, query(0), 1);
    first.next();
    first.next();
    assert.deepEqual(runAll(first, scans.search(among, undefined, query(9), 1)), [[1], [8]]);
    assert.equal(rows.compared, 6);
  });

  it("finds what was added before a search, though another waits for its first step", () => {
    const scans = new JoinedScans(CountedRows.make());
    const among = labels();
    const early = scans.search(among, undefined, query(0), 1);
    early.next();
    among.set(0);
    scans.added();
    assert.deepEqual(runAll(early, scans.search(among, undefined, query(0), 1)), [[1], [0]]);
  });

  it("looks again when what was removed under a scan had been among the nearest", () => {
    const rows = CountedRows.make();
    const scans = new JoinedScans(rows);
    const among = labels();
    const steps = [scans.search(among, undefined, query(0), 2), scans.search(among, undefined, query(9), 2)];
    for (const one of steps) one.next();
    steps[0]!.next();
    among.clear(1);
    scans.removed(1);
    assert.deepEqual(runAll(...steps), [
      [3, 5],
      [8, 5],
    ]);
    assert.equal(rows.compared, 2, "only the search that had found it");
  });

  it("answers without them when rows change under each attempt", () => {
    const scans = new JoinedScans(CountedRows.make());
    const among = labels();
    const search = scans.search(among, undefined, query(0), 4);
    let attempts = 0;
    for (let step = search.next(); ; step = search.next()) {
      if (step.done) {
        assert.deepEqual([...step.value[0]!.labels], [8]);
        break;
      }
      // Each attempt yields before its first step, after its only block, and ends.
      const [nearest] = among.next(0, 1);
      if (attempts++ % 2 === 1 && nearest !== undefined && nearest < 8) {
        among.clear(nearest);
        scans.removed(nearest);
      }
    }
    assert.ok(attempts >= 6);
  });
});

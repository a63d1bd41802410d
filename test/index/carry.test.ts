import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { type HnswIndexOptions, openHnswIndex } from "../../src/index/index.js";
import { decodeSnapshotHeader, encodeSnapshotHeader } from "../../src/index/snapshot-file.js";
import { march } from "../../src/native/index.js";
import { type Metric, Random } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";
import { Clusters, closedAfter, flat, RowModel, temporaryDirectory, uint32 } from "./support.js";

const parameters = { m: 8, efConstruction: 100, efSearch: 64 };
const DIMENSIONS = 16;
const COUNT = 3000;
const FEW = 300;

/** What a head does: every row times one matrix, which stays near the identity. */
function headOf(random: Random): (row: Float32Array) => Float32Array {
  const weights = Array.from({ length: DIMENSIONS }, (_, i) =>
    Array.from({ length: DIMENSIONS }, (_, j) => (i === j ? 1 : 0) + 0.15 * random.normal()),
  );
  return (row) => Float32Array.from(weights, (line) => line.reduce((sum, w, j) => sum + w * row[j]!, 0));
}

/** A saved index over rows, and a model of the same labels with other vectors, whose index has no snapshot yet. */
async function changed(metric: Metric = "cosine", count = COUNT) {
  const random = new Random(seedOf("carry", 5));
  const before = new RowModel(DIMENSIONS, metric);
  const clusters = new Clusters(random, DIMENSIONS);
  for (let label = 0; label < count; label++) before.write(label, clusters.row());
  const source = join(temporaryDirectory(), "before");
  const lines: string[] = [];
  const open = async (model: RowModel, directory: string, options: Partial<HnswIndexOptions> = {}) =>
    closedAfter(
      await openHnswIndex({
        rows: model.source,
        metric,
        parameters,
        snapshotDirectory: directory,
        live: model.liveRows(),
        identity: directory,
        lastSequence: Math.max(model.sequence, before.sequence),
        log: (line) => lines.push(line),
        ...options,
      }),
    );
  const old = await open(before, source);
  await old.drain();
  await old.snapshot(before.sequence);
  const head = headOf(random);
  const after = new RowModel(DIMENSIONS, metric);
  for (const [label, { row }] of before.live) after.write(label, head(row));
  const target = join(temporaryDirectory(), "after");
  const carry = { snapshotDirectory: source, identity: source, rows: before.source };
  const keep = (options: Partial<HnswIndexOptions> = {}) => open(after, target, { carry, ...options });
  return { random, clusters, before, after, head, source, target, old, open, keep, lines };
}

type Changed = Awaited<ReturnType<typeof changed>>;

async function recallOf(
  { clusters, after, head }: Changed,
  index: Awaited<ReturnType<Changed["keep"]>>,
  efSearch: number,
) {
  const queries = clusters.rows(60).map(head);
  const hits = await index.search(flat(queries), queries.length, { k: 10, efSearch });
  return hits.reduce((sum, found, i) => sum + after.check(found, queries[i]!, 10), 0) / queries.length;
}

/** Bytes of the graph's header, and of a node. */
const HEADER = 96;
const NODE = 4 + 8 * parameters.m + 4 * DIMENSIONS + 8;

const graphFile = (directory: string) =>
  join(directory, readdirSync(directory).find((name) => name.endsWith(".hnsw"))!);

/** Changes the header of a snapshot, with a checksum that fits. */
function editHeader(directory: string, change: object): void {
  const path = join(directory, "index.snapshot");
  const { header, labelOf } = decodeSnapshotHeader(readFileSync(path));
  writeFileSync(path, encodeSnapshotHeader({ ...header, ...change }, labelOf));
}

function edit(path: string, change: (bytes: Buffer) => void): void {
  const bytes = readFileSync(path);
  change(bytes);
  writeFileSync(path, bytes);
}

describe("a graph that is kept while its vectors change", () => {
  for (const metric of ["cosine", "euclidean"] as const) {
    it(`serves the new vectors at once, with true distances and good recall (${metric})`, async () => {
      const state = await changed(metric);
      const index = await state.keep();
      assert.deepEqual(state.lines, []);
      const { points, lag, tombstones, provisional } = await index.status();
      assert.deepEqual(
        { points, lag, tombstones, provisional },
        { points: COUNT, lag: 0, tombstones: 0, provisional: true },
      );
      const recall = await recallOf(state, index, 128);
      assert.ok(recall >= 0.95, `recall ${recall}`);
      // A row finds itself where it is now.
      const [hits] = await index.search(state.after.live.get(77)!.row, 1, { k: 1 });
      assert.equal(hits!.labels[0], 77);
      // A rebuild makes an ordinary graph of it.
      await index.rebuild();
      assert.equal((await index.status()).provisional, false);
      assert.ok((await recallOf(state, index, 128)) >= 0.99);
    });
  }

  it("leaves out what is gone, and builds in what is newer, whatever its label stood for", async () => {
    const state = await changed();
    const { before, after, clusters, head } = state;
    // The collection went on after the snapshot: both files have the same items.
    after.sequence = before.sequence;
    for (let label = 0; label < 300; label++) for (const model of [before, after]) model.remove(label);
    for (let label = 200; label < 320; label++) {
      const row = clusters.row();
      before.write(label, row);
      after.write(label, head(row));
    }
    const live = { ...after.liveRows() };
    live.sequences = live.sequences.map((sequence, i) => (live.labels[i]! >= 320 ? 1 : sequence));
    const index = await state.keep({ live });
    const { points, tombstones, provisional } = await index.status();
    assert.deepEqual({ points, tombstones, provisional }, { points: 2800, tombstones: 320, provisional: true });
    await index.drain();
    assert.equal((await index.status()).tombstones, 320);
    const recall = await recallOf(state, index, 128);
    assert.ok(recall >= 0.95, `recall ${recall}`);
    for (const label of [200, 319]) {
      assert.equal((await index.search(after.live.get(label)!.row, 1, { k: 1 }))[0]!.labels[0], label);
    }
    const query = clusters.row();
    assert.equal(after.check((await index.search(query, 1, { k: COUNT, exact: true }))[0]!, query, COUNT), 1);
  });

  it("is found again after a restart, still provisional, with what was written since", async () => {
    const state = await changed();
    const { after, target, clusters } = state;
    let index = await state.keep();
    after.sequence = state.before.sequence;
    const live = after.liveRows().labels;
    after.write(5000, clusters.row());
    await index.add(uint32(5000));
    await index.drain();
    // Saved as it was opened: the rebuild writes the next snapshot.
    const saved = graphFile(target);
    await index.snapshot(after.sequence);
    assert.equal(graphFile(target), saved);
    await index.close();
    const sequences = Float64Array.from(live, () => 1);
    index = await state.open(after, target, {
      live: { labels: Uint32Array.of(...live, 5000), sequences: Float64Array.of(...sequences, after.sequence) },
    });
    const { provisional, points } = await index.status();
    assert.deepEqual({ provisional, points }, { provisional: true, points: COUNT + 1 });
    assert.equal((await index.search(after.live.get(5000)!.row, 1, { k: 1 }))[0]!.labels[0], 5000);
    await index.close();

    // A fresh build beside it leaves it alone until its own snapshot takes its place.
    const fresh = await state.open(after, target, { fresh: true });
    assert.equal(graphFile(target), saved);
    assert.equal((await fresh.status()).provisional, false);
    await fresh.drain();
    await fresh.snapshot(after.sequence);
    await fresh.close();
    assert.notEqual(graphFile(target), saved);
    const last = await state.open(after, target, { lastSequence: after.sequence });
    assert.equal((await last.status()).provisional, false);
    assert.deepEqual(state.lines, []);
  });

  it("is carried on from one that was kept itself", async () => {
    const state = await changed();
    const second = new RowModel(DIMENSIONS, "cosine");
    const first = await state.keep();
    const head = headOf(state.random);
    for (const [label, { row }] of state.after.live) second.write(label, head(row));
    const carry = { snapshotDirectory: state.target, identity: state.target, rows: state.after.source };
    const index = await state.open(second, join(temporaryDirectory(), "second"), { carry });
    assert.equal((await index.status()).provisional, true);
    const query = head(state.after.live.get(9)!.row);
    assert.equal((await index.search(query, 1, { k: 1 }))[0]!.labels[0], 9);
    await first.close();
  });

  it("outlives the other's files, and a crash that leaves it whole", async () => {
    const state = await changed();
    const { after, source, target, lines } = state;
    const first = await state.keep();
    const query = state.clusters.row();
    const options = { k: 10, efSearch: 128 };
    const [found] = await first.search(query, 1, options);
    // No file is written twice: what is saved is the other's graph, by a second name.
    assert.equal(statSync(graphFile(target)).ino, statSync(graphFile(source)).ino);
    // As in a crash, nothing is saved at the end.
    await first.close();
    rmSync(source, { recursive: true });
    truncateSync(state.before.path, 0);
    const again = await state.open(after, target);
    const { points, lag, provisional } = await again.status();
    assert.deepEqual({ points, lag, provisional }, { points: COUNT, lag: 0, provisional: true });
    assert.deepEqual((await again.search(query, 1, options))[0], found);
    assert.deepEqual(lines, []);
  });

  it("is not taken from a snapshot that was damaged since, and a new one is built", async () => {
    const state = await changed("cosine", FEW);
    const { after, target, lines } = state;
    await (await state.keep()).close();
    edit(graphFile(target), (b) => b.writeFloatLE(7, HEADER + 5 * NODE + 4 + 8 * parameters.m));
    const index = await state.open(after, target);
    assert.equal((await index.status()).provisional, false);
    assert.match(lines.join("\n"), /^the index snapshot in .* is not used, the index is rebuilt: its graph's checksum/);
    assert.deepEqual(readdirSync(target), []);
    await index.drain();
    assert.equal((await index.search(after.live.get(9)!.row, 1, { k: 1 }))[0]!.labels[0], 9);
  });

  it("gives nodes of what is gone the vectors of their neighbours, so that searches find the way past them", async () => {
    const state = await changed();
    // All vectors are turned round, and nine of ten items are gone: nodes left as they were would be far from everything.
    const turned = new RowModel(DIMENSIONS, "cosine");
    for (const [label, { row }] of state.before.live)
      turned.write(
        label,
        row.map((x) => -x),
      );
    for (let label = 0; label < COUNT; label++) if (label % 10 !== 0) turned.remove(label);
    const { labels, sequences } = turned.liveRows();
    const carry = { snapshotDirectory: state.source, identity: state.source, rows: state.before.source };
    const live = { labels, sequences: sequences.map(() => 1) };
    const index = await state.open(turned, state.target, { carry, live, rebuildShare: 1 });
    const { points, provisional } = await index.status();
    assert.deepEqual({ points, provisional }, { points: COUNT / 10, provisional: true });
    const queries = state.clusters.rows(60).map((row) => row.map((x) => -x));
    const hits = await index.search(flat(queries), queries.length, { k: 5, efSearch: 32 });
    const recall = hits.reduce((sum, found, i) => sum + turned.check(found, queries[i]!, 5), 0) / queries.length;
    assert.ok(recall >= 0.95, `recall ${recall}`);
  });

  const damages: [string, RegExp, (state: Changed) => Partial<HnswIndexOptions> | undefined][] = [
    [
      "a header of another layout",
      /element size is/,
      ({ source }) => void edit(graphFile(source), (b) => b.writeUInt32LE(NODE + 4, 24)),
    ],
    [
      "vectors in another place",
      /vector offset is/,
      ({ source }) => void edit(graphFile(source), (b) => b.writeUInt32LE(0, 40)),
    ],
    [
      "another number of links",
      /maxM0 is/,
      ({ source }) => void edit(graphFile(source), (b) => b.writeUInt32LE(parameters.m, 64)),
    ],
    ["another count", /count is/, ({ source }) => void edit(graphFile(source), (b) => b.writeUInt32LE(FEW - 1, 16))],
    [
      "a capacity below its count",
      /capacity is/,
      ({ source }) => void edit(graphFile(source), (b) => b.writeUInt32LE(5, 8)),
    ],
    [
      "a strange level multiplier",
      /multiplier is/,
      ({ source }) => void edit(graphFile(source), (b) => b.writeDoubleLE(1, 80)),
    ],
    [
      "an entry that is no node",
      /entered at node/,
      ({ source }) => void edit(graphFile(source), (b) => b.writeUInt32LE(FEW, 52)),
    ],
    [
      "a lower top layer",
      /upper links|highest node/,
      ({ source }) => void edit(graphFile(source), (b) => b.writeInt32LE(0, 48)),
    ],
    [
      "links to nowhere",
      /links of its node 7 /,
      ({ source }) => void edit(graphFile(source), (b) => b.writeUInt32LE(FEW, HEADER + 7 * NODE + 4)),
    ],
    [
      "a mark of deletion",
      /links of its node 7 /,
      ({ source }) => void edit(graphFile(source), (b) => b.writeUInt8(1, HEADER + 7 * NODE + 2)),
    ],
    [
      "labels in another place",
      /its node 3 has another label/,
      ({ source }) => void edit(graphFile(source), (b) => b.writeUInt32LE(9, HEADER + 4 * NODE - 8)),
    ],
    ["a byte too many", /bytes behind its last node/, ({ source }) => void appendByte(graphFile(source))],
    [
      "a cut end",
      /no upper links|upper links/,
      ({ source }) => void truncateSync(graphFile(source), statSync(graphFile(source)).size - 6),
    ],
    [
      "vectors of other rows",
      /vectors looked at in its graph, 0 are the rows/,
      ({ source }) =>
        void edit(graphFile(source), (b) => {
          for (let node = 0; node < FEW; node++) b.writeFloatLE(7, HEADER + node * NODE + 4 + 8 * parameters.m);
        }),
    ],
    [
      "a flipped byte that nothing else shows",
      /checksum is wrong/,
      ({ source }) => void edit(graphFile(source), (b) => b.writeFloatLE(7, HEADER + 5 * NODE + 4 + 8 * parameters.m)),
    ],
    ["another version of hnswlib", /its hnswlib is/, ({ source }) => void editHeader(source, { hnswlib: "4.0.0" })],
    ["another owner", /its identity is/, ({ source }) => void editHeader(source, { identity: "x" })],
    [
      "no snapshot at all",
      /ENOENT/,
      () => ({ carry: { snapshotDirectory: "/nowhere", identity: "", rows: { path: "/nowhere", dimensions: 1 } } }),
    ],
  ];
  for (const [name, reason, damage] of damages) {
    it(`with ${name} is not used, and a new one is built`, async () => {
      const state = await changed("cosine", FEW);
      const options = damage(state) ?? {};
      const index = await state.keep(options);
      assert.equal(state.lines.length, 1, state.lines.join("\n"));
      assert.match(state.lines[0]!, /is not kept, a new one is built: /);
      assert.match(state.lines[0]!, reason);
      const { provisional, points } = await index.status();
      assert.deepEqual({ provisional, points }, { provisional: false, points: FEW });
      assert.deepEqual(readdirSync(state.target), []);
      await index.close();
    });
  }

  it("never takes the place of rows that are not there", async () => {
    const state = await changed();
    truncateSync(state.after.path, 100 * DIMENSIONS * 4);
    await state.keep({ maxPending: 16 });
    assert.match(state.lines[0]!, /is not kept, a new one is built: the vector file .* has 100 rows/);
  });
});

function appendByte(path: string): void {
  writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.alloc(1)]));
}

describe("with hnswlib-node as npm built it", () => {
  const skip = march === undefined ? "that is what ran above" : false;
  it("this holds too, by way of a second file", { skip }, () => {
    const env = { ...process.env, ATTUNE_MARCH: "off", NODE_TEST_CONTEXT: undefined };
    const some =
      "serves the new|leaves out|is found again|outlives|nodes of what is gone|flipped byte|damaged since|not there";
    const file = fileURLToPath(import.meta.url);
    const { status, stdout } = spawnSync(process.execPath, ["--test", "--test-name-pattern", some, file], { env });
    assert.equal(status, 0, String(stdout));
  });
});

import assert from "node:assert/strict";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type HnswIndexOptions, openHnswIndex } from "../../src/index/index.js";
import { Random } from "../../src/vector/index.js";
import { Clusters, closedAfter, flat, RowModel, temporaryDirectory, uint32 } from "./support.js";

const parameters = { m: 8, efConstruction: 100, efSearch: 64 };
const HEADER = "index.snapshot";

async function saved(count = 800, dimensions = 8, seed = 1) {
  const directory = join(temporaryDirectory(), "snapshot");
  const model = new RowModel(dimensions, "cosine");
  const clusters = new Clusters(new Random(seed), dimensions);
  for (let label = 0; label < count; label++) model.write(label, clusters.row());
  const lines: string[] = [];
  const open = async (options: Partial<HnswIndexOptions> = {}) =>
    closedAfter(
      await openHnswIndex({
        rows: model.source,
        metric: model.metric,
        parameters,
        snapshotDirectory: directory,
        live: model.liveRows(),
        identity: "collection/1",
        lastSequence: model.sequence,
        log: (line) => lines.push(line),
        ...options,
      }),
    );
  const index = await open();
  await index.drain();
  await index.snapshot(model.sequence);
  await index.close();
  return { directory, model, clusters, lines, open };
}

const graphFile = (directory: string) =>
  join(directory, readdirSync(directory).find((name) => name.endsWith(".hnsw"))!);

describe("index snapshot", () => {
  it("is all there is to a reopening without changes", async () => {
    const { directory, model, clusters, lines, open } = await saved();
    assert.deepEqual(readdirSync(directory).length, 2);
    const index = await open();
    assert.deepEqual(
      { ...(await index.status()), bytesInMemory: 0 },
      { points: 800, tombstones: 0, lag: 0, provisional: false, bytesInMemory: 0 },
    );
    const query = clusters.row();
    assert.ok(model.check((await index.search(query, 1, { k: 10 }))[0]!, query, 10) >= 0.9);
    await index.close();
    assert.deepEqual(lines, []);
  });

  it("is completed by what was written and removed since", async () => {
    const { model, clusters, open } = await saved();
    for (let label = 0; label < 40; label++) model.remove(label);
    for (let label = 40; label < 60; label++) model.write(label, clusters.row());
    for (let label = 900; label < 950; label++) model.write(label, clusters.row());
    const index = await open();
    const status = await index.status();
    assert.equal(status.points, model.live.size);
    assert.ok(status.lag <= 70 && status.tombstones === 60);
    const queries = [...clusters.rows(20), model.live.get(45)!.row, model.live.get(949)!.row];
    const hits = await index.search(flat(queries), queries.length, { k: 10 });
    const recall = hits.reduce((sum, found, i) => sum + model.check(found, queries[i]!, 10), 0) / queries.length;
    assert.ok(recall >= 0.98);
    assert.deepEqual([hits[20]!.labels[0], hits[21]!.labels[0]], [45, 949]);
    await index.close();
  });

  it("may be taken while rows wait, searches run and labels go", async () => {
    const { model, clusters, open } = await saved();
    let index = await open({ maxPending: 4096 });
    for (let label = 1000; label < 1500; label++) model.write(label, clusters.row());
    await index.add(Uint32Array.from({ length: 500 }, (_, i) => 1000 + i));
    const sequence = model.sequence;
    const taking = index.snapshot(sequence);
    const query = clusters.row();
    const searching = index.search(query, 1, { k: 5 });
    for (const label of [1000, 3, 4]) model.remove(label);
    model.write(5, clusters.row());
    await Promise.all([taking, searching, index.remove(uint32(1000, 3, 4)), index.add(uint32(5))]);
    await index.close();
    index = await open({ lastSequence: model.sequence });
    const [hits] = await index.search(query, 1, { k: 2000, exact: true });
    assert.equal(model.check(hits!, query, 2000), 1);
    await index.drain();
    assert.ok(model.check((await index.search(query, 1, { k: 20 }))[0]!, query, 20) >= 0.9);
    assert.equal((await index.search(model.live.get(5)!.row, 1, { k: 1 }))[0]!.labels[0], 5);
    await index.close();
  });

  it("removes what interrupted snapshots left, and the one before", async () => {
    const { directory, open, model } = await saved();
    const first = graphFile(directory);
    writeFileSync(join(directory, "graph-0-1.hnsw"), "half a graph");
    writeFileSync(join(directory, `${HEADER}.tmp`), "half a header");
    const index = await open();
    assert.equal(readdirSync(directory).length, 2);
    await index.snapshot(model.sequence);
    assert.ok(!existsSync(first));
    assert.equal(readdirSync(directory).length, 2);
    await index.close();
  });

  type Saved = Awaited<ReturnType<typeof saved>>;
  const damages: [string, (saved: Saved) => Partial<HnswIndexOptions> | undefined][] = [
    ["a flipped byte in the graph's links", ({ directory }) => void flip(graphFile(directory), 200)],
    ["a flipped byte at the graph's end", ({ directory }) => void flip(graphFile(directory), -5)],
    [
      "a truncated graph",
      ({ directory }) => void truncateSync(graphFile(directory), statSync(graphFile(directory)).size - 100),
    ],
    ["an empty graph", ({ directory }) => void truncateSync(graphFile(directory), 0)],
    ["a missing graph", ({ directory }) => void rmSync(graphFile(directory))],
    ["a flipped byte in the header", ({ directory }) => void flip(join(directory, HEADER), 40)],
    ["a flipped byte in the label table", ({ directory }) => void flip(join(directory, HEADER), -20)],
    ["a truncated header", ({ directory }) => void truncateSync(join(directory, HEADER), 30)],
    ["an empty header", ({ directory }) => void truncateSync(join(directory, HEADER), 0)],
    ["a foreign header", ({ directory }) => void writeFileSync(join(directory, HEADER), "{}".repeat(100))],
    ["a later format", ({ directory }) => void flip(join(directory, HEADER), 7)],
    ["another metric", () => ({ metric: "euclidean" })],
    ["another m", () => ({ parameters: { ...parameters, m: 9 } })],
    ["another efConstruction", () => ({ parameters: { ...parameters, efConstruction: 99 } })],
    ["another owner", () => ({ identity: "collection/2" })],
    ["a sequence that is not committed", ({ model }) => ({ lastSequence: model.sequence - 1 })],
  ];
  for (const [name, damage] of damages) {
    it(`with ${name} is not used, and the index is rebuilt`, async () => {
      const state = await saved(300);
      const options: Partial<HnswIndexOptions> = damage(state) ?? {};
      const index = await state.open(options);
      assert.equal(state.lines.length, 1, state.lines.join("\n"));
      assert.match(state.lines[0]!, /is not used, the index is rebuilt: /);
      await index.drain();
      assert.equal((await index.status()).points, 300);
      if (options.metric === undefined) {
        const query = state.clusters.row();
        assert.ok(state.model.check((await index.search(query, 1, { k: 5, efSearch: 20 }))[0]!, query, 5) >= 0.8);
      }
      await index.close();
    });
  }

  it("of other dimensions, or of other vectors, is not used", async () => {
    const eight = await saved(300, 8);
    for (const other of [await saved(300, 16), await saved(300, 8, 2)]) {
      rmSync(other.directory, { recursive: true });
      mkdirSync(other.directory);
      for (const name of readdirSync(eight.directory)) {
        copyFileSync(join(eight.directory, name), join(other.directory, name));
      }
      const index = await other.open();
      assert.match(other.lines.join("\n"), /its (dimensions|vector of row)/);
      await index.drain();
      const query = other.clusters.row();
      assert.ok(other.model.check((await index.search(query, 1, { k: 5 }))[0]!, query, 5) >= 0.8);
      await index.close();
    }
  });
});

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  const position = at < 0 ? bytes.length + at : at;
  bytes[position] = bytes[position]! ^ 0x15;
  writeFileSync(path, bytes);
}

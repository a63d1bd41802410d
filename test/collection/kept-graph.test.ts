import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { CollectionState } from "../../src/collection/collection-state.js";
import { EarlyRecall } from "../../src/collection/generations/early-recall.js";
import { chooseBreadth } from "../../src/collection/generations/search-breadth.js";
import type { Collection, Database } from "../../src/collection/index.js";
import { Random } from "../../src/vector/index.js";
import { itemId, type Learnable, learnable, triplets } from "../support/learnable.js";
import { seedOf } from "../support/seed.js";
import { temporaryDirectory } from "../support/temporary-directory.js";
import { crash } from "./crash.js";
import { ended, fill, openDatabase, vectorCollection } from "./support.js";
import { addTunedGeneration, tinyEncoder, words } from "./tuned-generation.js";

/** Enough items that an index is worth keeping. */
const COUNT = 2500;
const QUICK = { learningRate: 0.01, epochs: 1, promote: "always" } as const;

async function prepared(t: Parameters<typeof openDatabase>[0], settings = {}) {
  const random = new Random(seedOf("kept-graph", 21));
  const data = learnable(random, COUNT);
  const lines: string[] = [];
  const log = { info: (line: string) => lines.push(line), warn: (line: string) => lines.push(line), error: () => {} };
  const database = await openDatabase(t, { log });
  const things = await vectorCollection(database, data.dimensions, {
    index: { m: 8, efConstruction: 60 },
    ...settings,
  });
  await fill(things, data);
  await settled(things);
  await things.submitFeedback({ triplets: triplets(random, data, 100) });
  return { random, data, database, things, lines };
}

const stateOf = (things: Collection) => (things as unknown as { state: CollectionState }).state;

const indexOf = async (things: Collection) => (await things.info()).status.index;

/** Resolves when the graph holds everything and is no provisional one. */
async function settled(things: Collection): Promise<void> {
  for (let index = await indexOf(things); index.lag > 0 || index.provisional; index = await indexOf(things)) {
    await sleep(10);
  }
}

/** Resolves when the job says how long its second switch took. */
async function rebuilt(things: Collection, id: string): Promise<void> {
  for (let waited = 0; things.job(id).timings.rebuildMs === undefined && waited < 5000; waited += 10) await sleep(10);
  assert.ok((things.job(id).timings.rebuildMs ?? 0) > 0);
}

/** Share of the ten truly nearest, by exact search, that the graph finds. */
async function recallOf(things: Collection, { vectors }: Learnable): Promise<number> {
  let found = 0;
  const queries = Array.from({ length: 60 }, (_, i) => vectors[i * 31]!.map((x, d) => x + 0.05 * ((d % 3) - 1)));
  for (const vector of queries) {
    const near = (await things.query({ vector, k: 10 })).results.map(({ id }) => id);
    const truth = (await things.query({ vector, k: 10, exact: true })).results.map(({ id }) => id);
    found += truth.filter((id) => near.includes(id)).length;
  }
  return found / (10 * queries.length);
}

/** Every item is there, once. */
async function assertComplete(things: Collection, vector: number[]): Promise<void> {
  const { results } = await things.query({ vector, k: 10_000, exact: true, withPayload: false });
  assert.equal(results.length, await things.count());
  assert.equal(new Set(results.map(({ id }) => id)).size, results.length);
}

function snapshotDirectory(database: Database, generation: number): string {
  const collections = join(database.directory, "collections");
  return join(collections, readdirSync(collections)[0]!, "generations", String(generation), "index");
}

test("the least breadth that finds nearly as much as before is chosen; where that is dear, less will do", async () => {
  const at = (...recalls: number[]) => {
    const rest = [...recalls];
    return () => Promise.resolve(rest.shift() ?? 0);
  };
  assert.deepEqual(await chooseBreadth(at(0.99), 0.99), { breadth: 1, recall: 0.99 });
  assert.deepEqual(await chooseBreadth(at(0.9, 0.95, 0.992), 0.99), { breadth: 1.5, recall: 0.992 });
  assert.deepEqual(await chooseBreadth(at(0.9, 0.95, 0.97, 0.985), 0.999), { breadth: 2, recall: 0.985 });
  assert.deepEqual(await chooseBreadth(at(0.9, 0.95, 0.96, 0.97, 0.98), 0.999), { breadth: 3, recall: 0.98 });
  assert.deepEqual(await chooseBreadth(at(0.99, 0.991, 0.999), 0.999), { breadth: 1.25, recall: 0.991 });
  assert.deepEqual(await chooseBreadth(at(0.98, 0.988, 0.99), 0.99), { breadth: 1.25, recall: 0.988 });
  assert.deepEqual(await chooseBreadth(at(0.97, 0.979, 0.98, 0.99), 0.99), { breadth: 1.5, recall: 0.98 });
  assert.deepEqual(await chooseBreadth(at(0.979, 0.985), 0.985), { breadth: 1.25, recall: 0.985 });
  assert.deepEqual(await chooseBreadth(at(0.6, 0.8), 0.7), { breadth: 1.25, recall: 0.8 });
  assert.equal(await chooseBreadth(at(0.9, 0.9, 0.9, 0.9, 0.9, 0.97), 0.999), undefined);
});

test("a graph that was saved before it had come to all rows is saved anew, and kept", async (t) => {
  const random = new Random(seedOf("kept-graph unbuilt", 22));
  const data = learnable(random, COUNT);
  const first = await openDatabase(t);
  const { directory } = first;
  await fill(await vectorCollection(first, data.dimensions, { index: { m: 8, efConstruction: 60 } }), data);
  // Saves what the graph has come to.
  await first.close();
  const things = (await openDatabase(t, { directory })).collection("things");
  await settled(things);
  await things.submitFeedback({ triplets: triplets(random, data, 100) });
  const job = await ended(things, (await things.startFineTune(QUICK)).id);
  assert.deepEqual([job.status, job.index?.kept], ["promoted", true], `${job.reason} ${job.index?.reason}`);
});

test("a stop saves the graph anew if the last snapshot lacked rows, and not if nothing is new", async (t) => {
  const data = learnable(new Random(seedOf("kept-graph stop", 24)), 300);
  let database = await openDatabase(t);
  const { directory } = database;
  let things = await vectorCollection(database, data.dimensions);
  await fill(things, data);
  await settled(things);
  await database.close();
  const saved = () => readdirSync(snapshotDirectory(database, 0)).sort();
  const first = saved();
  for (const unbuilt of [0, 1]) {
    database = await openDatabase(t, { directory });
    things = database.collection("things");
    assert.equal(stateOf(things).active.unbuilt, 0);
    // As if the graph had not come to a row when it was saved.
    stateOf(things).active.unbuilt = unbuilt;
    await database.close();
    assert.equal(saved().join() === first.join(), unbuilt === 0);
  }
});

test("a fine-tune goes live on the kept graph, and a new one takes its place", async (t) => {
  const { data, things, lines } = await prepared(t);
  const before = await recallOf(things, data);
  const started = await things.startFineTune(QUICK);
  const job = await ended(things, started.id);
  assert.equal(job.status, "promoted", job.reason);
  assert.equal(job.index?.kept, true, `${job.index?.reason} ${lines.join("\n")}`);
  assert.ok((job.index?.recall ?? 0) >= Math.min(0.98, job.index?.recallBefore ?? 1));
  assert.ok((job.timings.swapMs ?? 0) > 0);
  assert.equal(job.timings.rebuildMs, undefined);
  const atTheSwap = await recallOf(things, data);
  await settled(things);
  const afterwards = await recallOf(things, data);
  t.diagnostic(`recall at 10: ${before} before, ${atTheSwap} at the swap, ${afterwards} afterwards`);
  assert.ok(atTheSwap >= 0.95 && afterwards >= 0.97);
  await rebuilt(things, started.id);
  await assertComplete(things, data.vectors[0]!);

  // Back again: the graph of the generation before is at hand.
  const back = await ended(things, (await things.activate(0)).id);
  assert.equal(back.status, "promoted");
  assert.equal(back.index, undefined);
  assert.equal((await indexOf(things)).provisional, false);
});

test("what is saved of a generation that changed nothing is not written again when another takes its place", async (t) => {
  const { random, data, database, things } = await prepared(t);
  const saved = (generation: number) => readdirSync(snapshotDirectory(database, generation)).sort();
  const activate = async (generation: number) => {
    const { id } = await things.activate(generation);
    assert.equal((await ended(things, id)).status, "promoted");
  };
  assert.equal((await ended(things, (await things.startFineTune(QUICK)).id)).status, "promoted");
  await settled(things);
  // A job begins when the one before has retired what served until then.
  await activate(0);
  await activate(1);
  const before = [saved(0), saved(1)];
  await activate(0);
  await activate(1);
  assert.deepEqual([saved(0), saved(1)], before);
  await things.upsert(learnable(random, 3).vectors.map((vector, i) => ({ id: `late-${i}`, vector })));
  await activate(0);
  await activate(1);
  const after = [saved(0), saved(1)];
  assert.notDeepEqual(after[1], before[1], "what was written since is saved");
  await assertComplete(things, data.vectors[0]!);
});

test("recall is measured beside the training, and again at the switch where something else serves by then", async (t) => {
  const { things } = await prepared(t);
  const state = stateOf(things);
  const options = { threads: 1, niceness: 0, signal: new AbortController().signal };
  const early = EarlyRecall.begin(state, options);
  const recall = await early.taken(state);
  assert.ok(recall !== undefined && recall > 0.8 && recall <= 1, `recall ${recall}`);
  assert.equal(await EarlyRecall.begin(state, options).taken(state), recall);
  const { active, settings } = state;
  const wider = { ...settings, index: { ...settings.index, efSearch: settings.index.efSearch + 1 } };
  assert.equal(await early.taken({ ...state, settings: wider }), undefined);
  const other = Object.assign(Object.create(active) as typeof active, { number: active.number + 1 });
  assert.equal(await early.taken({ ...state, active: other }), undefined);

  const stopped = EarlyRecall.begin(state, options);
  await stopped.stop();
  assert.equal(await stopped.taken(state), undefined, "what is stopped measures nothing");
  const job = await ended(things, (await things.startFineTune(QUICK)).id);
  assert.deepEqual([job.index?.kept, job.index?.recallBefore], [true, recall]);
});

test("a head that cannot be opened fails its activation; what was opened beside it is closed, and the rest serves on", async (t) => {
  const { data, database, things } = await prepared(t);
  assert.equal((await ended(things, (await things.startFineTune({ ...QUICK, promote: "never" })).id)).status, "ready");
  const head = join(snapshotDirectory(database, 1), "..", "head.onnx");
  const whole = readFileSync(head);
  writeFileSync(head, whole.subarray(0, 100));
  const failed = await ended(things, (await things.activate(1)).id);
  assert.equal(failed.status, "failed");
  assert.match(failed.reason ?? "", /head\.onnx cannot be loaded/);
  assert.equal((await things.info()).status.activeGeneration, 0);
  await assertComplete(things, data.vectors[0]!);
  writeFileSync(head, whole);
  const job = await ended(things, (await things.activate(1)).id);
  assert.equal(job.status, "promoted");
  assert.equal(job.index?.kept, true, "what the first attempt left is judged, not just opened");
  await assertComplete(things, data.vectors[0]!);
});

test("writes and deletes while a graph is provisional and while it is replaced are all there afterwards", async (t) => {
  const { random, data, things } = await prepared(t, { metric: "euclidean" });
  const extra = learnable(random, 1200).vectors;
  let running = true;
  let writes = 0;
  const writing = (async () => {
    for (; running && writes < extra.length; writes++) {
      await things.upsert([{ id: `new-${writes}`, vector: extra[writes]! }]);
      // The labels of deleted items are used again by the next.
      await things.deleteItem(itemId(writes));
      if (writes % 10 === 0) {
        const { results } = await things.query({ vector: extra[writes]!, k: 1 });
        assert.equal(results[0]?.id, `new-${writes}`);
      }
    }
  })();
  const job = await ended(things, (await things.startFineTune(QUICK)).id);
  assert.equal(job.index?.kept, true, job.index?.reason);
  await settled(things);
  running = false;
  await writing;
  await settled(things);
  t.diagnostic(`${writes} writes`);
  assert.equal((await indexOf(things)).points, COUNT);
  assert.equal(await things.count(), COUNT);
  await assertComplete(things, data.vectors[0]!);
  for (let i = 0; i < writes; i += 37) {
    assert.equal((await things.query({ vector: extra[i]!, k: 1 })).results[0]?.id, `new-${i}`);
  }
});

test("fine-tunes and activations during a rebuild work, and a generation whose graph stayed provisional is rebuilt when it is active", async (t) => {
  const { database, data, things } = await prepared(t);
  const first = await ended(things, (await things.startFineTune(QUICK)).id);
  assert.equal(first.index?.kept, true);
  const second = await ended(things, (await things.startFineTune({ ...QUICK, from: "active", seed: 2 })).id);
  assert.equal(second.status, "promoted", second.reason);
  const third = await ended(things, (await things.activate(1)).id);
  assert.equal(third.status, "promoted", third.reason);
  await settled(things);
  assert.equal((await things.info()).status.activeGeneration, 1);
  assert.ok((await recallOf(things, data)) >= 0.97);
  await assertComplete(things, data.vectors[0]!);
  const { generations } = await things.generations();
  assert.ok(generations.every((generation) => !("breadth" in generation)));

  // Nothing is left to do after a restart.
  const { directory } = database;
  await database.close();
  const again = (await openDatabase(t, { directory })).collection("things");
  assert.deepEqual((await indexOf(again)).provisional, false);
  assert.ok((await recallOf(again, data)) >= 0.97);
});

test("a crash between the two switches leaves the provisional graph, and the next start replaces it", async (t) => {
  const directory = temporaryDirectory(t);
  const seed = seedOf("kept-graph", 22);
  await crash(t, [directory, String(seed), String(COUNT)], (line) => line === "promoted", "./kept-graph-child.js");
  const things = (await openDatabase(t, { directory })).collection("things");
  const { activeGeneration, index } = (await things.info()).status;
  t.diagnostic(`after the crash: ${JSON.stringify(index)}`);
  assert.equal(activeGeneration, 1);
  const data = learnable(new Random(seed), COUNT);
  await assertComplete(things, data.vectors[0]!);
  await settled(things);
  assert.ok((await recallOf(things, data)) >= 0.97);
  await rebuilt(things, "1");
});

test("a generation with a tuned encoder goes live on the kept graph too", async (t) => {
  const random = new Random(seedOf("kept-graph", 23));
  const directory = temporaryDirectory(t);
  const data = join(directory, "data");
  const before = await openDatabase(t, { directory: data });
  await before.createCollection("texts", { modality: "text", encoder: tinyEncoder(directory, 1) });
  const texts = Array.from({ length: COUNT }, () => `${words(random)} ${words(random)}`);
  await before.collection("texts").upsert(texts.map((text, i) => ({ id: itemId(i), text })));
  await settled(before.collection("texts"));
  await before.close();
  await addTunedGeneration(data, "texts", 1);
  const things = (await openDatabase(t, { directory: data })).collection("texts");
  const job = await ended(things, (await things.activate(1)).id);
  assert.equal(job.status, "promoted", job.reason);
  assert.equal(job.index?.kept, true, job.index?.reason);
  const distances = async (query: object) =>
    (await things.query({ ...query, k: 10 })).results.map(({ distance }) => distance);
  for (const text of texts.slice(0, 20)) {
    const [near, truth] = [await distances({ text }), await distances({ text, exact: true })];
    near.forEach((distance, i) => {
      assert.ok(Math.abs(distance - truth[i]!) < 0.02, `${near} is not ${truth}`);
    });
  }
  await settled(things);
  await rebuilt(things, job.id);
});

test("a saved graph of another layout is not kept: the index is built anew, and the log says why", async (t) => {
  const { database: first } = await prepared(t);
  // A stop saves the graph of generation 0; it is damaged when it has been read again.
  await first.close();
  const lines: string[] = [];
  const log = { info: (line: string) => lines.push(line), warn: (line: string) => lines.push(line), error: () => {} };
  const database = await openDatabase(t, { directory: first.directory, log });
  const things = database.collection("things");
  const folder = snapshotDirectory(database, 0);
  const graph = join(folder, readdirSync(folder).find((name) => name.endsWith(".hnsw"))!);
  const bytes = readFileSync(graph);
  bytes.writeUInt32LE(bytes.readUInt32LE(24) + 4, 24);
  writeFileSync(graph, bytes);
  const job = await ended(things, (await things.startFineTune({ ...QUICK, seed: 5 })).id);
  assert.equal(job.status, "promoted");
  assert.equal(job.index?.kept, false);
  assert.ok(job.index?.reason);
  assert.match(lines.join("\n"), /is not kept, a new one is built: its graph's element size is/);
  const { points, lag, provisional } = await indexOf(things);
  assert.deepEqual({ points, lag, provisional }, { points: COUNT, lag: 0, provisional: false });
});

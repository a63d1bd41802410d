import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Worker } from "node:worker_threads";
import { LabelAllocator } from "../../src/collection/items/label-allocator.js";
import { Slot } from "../../src/collection/jobs/slot.js";
import { Random } from "../../src/vector/index.js";
import { bertTokenizer, tinyModel, writeEncoder } from "../encoder/support/tiny-encoder.js";
import { killThread } from "../support/kill-thread.js";
import { learnable, triplets } from "../support/learnable.js";
import { seedOf } from "../support/seed.js";
import { temporaryDirectory } from "../support/temporary-directory.js";
import { ended, fill, openDatabase, until, vectorCollection } from "./support.js";

const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected;

const never = new AbortController().signal;

test("a place in the slot that is given up keeps the order of the others", async () => {
  const slot = new Slot();
  const release = await slot.take(never);
  const impatient = new AbortController();
  const second = slot.take(impatient.signal);
  let third = false;
  const last = slot.take(never).then((done) => {
    third = true;
    done();
  });
  impatient.abort(new RangeError("enough"));
  await assert.rejects(second, RangeError);
  await nextTurn();
  assert.equal(third, false);
  release();
  await last;
  await assert.rejects(slot.take(AbortSignal.abort(new RangeError("before"))), RangeError);
  (await slot.take(never))();
});

test("a label released while labels are kept comes back into use afterwards, once", () => {
  const labels = new LabelAllocator(4, []);
  labels.setAside([1, 2]);
  const first = labels.keep();
  const second = labels.keep();
  labels.release([1]);
  first();
  labels.release();
  assert.equal(labels.take(), 4);
  second();
  assert.deepEqual([labels.take(), labels.take(), labels.take()], [1, 2, 5]);
});

test("a collection with a job in the queue is deleted while another trains", async (t) => {
  const random = new Random(seedOf("races", 3));
  const data = learnable(random, 600);
  const database = await openDatabase(t);
  const things = await vectorCollection(database, data.dimensions);
  await fill(things, data);
  await things.submitFeedback({ triplets: triplets(random, data, 200) });
  const training = await things.startFineTune({ epochs: 5000, learningRate: 1e-6 });
  await until(things, training.id, ({ progress }) => progress.done > 0);
  await database.createCollection("other", { modality: "vector", dimensions: 2 });
  await database.collection("other").activate(0);
  await database.deleteCollection("other");
  assert.equal(things.job(training.id).status, "running");
  await things.cancelJob(training.id);
  await ended(things, training.id);
});

test("a deleted collection does not come back by what it still had to write", async (t) => {
  const database = await openDatabase(t);
  const settings = { modality: "vector", dimensions: 2 } as const;
  for (let round = 0; round < 5; round++) {
    await database.createCollection("things", settings);
    const things = database.collection("things");
    await things.upsert([{ id: "a", vector: [1, 0] }]);
    let deleted = false;
    const deleting = database.deleteCollection("things").finally(() => {
      deleted = true;
    });
    const late: Promise<unknown>[] = [];
    while (!deleted) {
      late.push(
        Promise.allSettled([things.activate(0), things.deleteItem("a"), things.upsert([{ id: "a", vector: [0, 1] }])]),
      );
      await nextTurn();
    }
    await deleting;
    await Promise.all(late);
    const { created, info } = await database.createCollection("things", settings);
    assert.equal(created, true);
    assert.equal(info.status.items, 0);
    await database.deleteCollection("things");
  }
});

test("a generation is not collected while it is being activated", async (t) => {
  const random = new Random(seedOf("races", 4));
  const data = learnable(random, 300);
  const database = await openDatabase(t);
  const things = await vectorCollection(database, data.dimensions);
  await fill(things, data);
  await things.submitFeedback({ triplets: triplets(random, data, 100) });
  await ended(things, (await things.startFineTune({ epochs: 1, promote: "always" })).id);
  await ended(things, (await things.activate(0)).id);
  assert.equal((await things.info()).status.activeGeneration, 0);

  const { id } = await things.activate(1);
  await until(things, id, ({ phase }) => phase !== undefined);
  await things.patch({ keepGenerations: 0 });
  assert.equal((await ended(things, id)).status, "promoted");
  const { directory } = database;
  await database.close();
  const again = (await openDatabase(t, { directory })).collection("things");
  assert.equal((await again.info()).status.activeGeneration, 1);
  assert.deepEqual(
    (await again.generations()).generations.map(({ generation }) => generation),
    [1],
  );
});

test("an encoder whose thread died is opened again by the next call, if it is still the same", async (t) => {
  const directory = temporaryDirectory(t);
  const folder = join(directory, "encoder");
  const write = (seed: number) =>
    writeEncoder(folder, {
      "model.onnx": tinyModel({ seed }).bytes,
      "tokenizer.json": bertTokenizer(),
      "config.json": { max_position_embeddings: 64 },
    });
  write(1);
  const threads: Worker[] = [];
  const remember = (worker: Worker) => threads.push(worker);
  process.on("worker", remember);
  t.after(() => process.off("worker", remember));
  // Each query goes to the encoder.
  const database = await openDatabase(t, { directory: join(directory, "data"), queryCacheBytes: 0 });
  await database.createCollection("texts", { modality: "text", encoder: `file:${folder}` });
  const texts = database.collection("texts");
  await texts.upsert([{ id: "a", text: "card lost" }]);
  const search = () => texts.query({ text: "card lost", k: 1 });
  const before = await search();

  // The encoder was opened to see what it is, then for the collection, which opened its index after it.
  assert.equal(threads.length, 3);
  await killThread(threads[1]!);
  await assert.rejects(search(), code("internal"));
  assert.deepEqual((await search()).results, before.results);
  await texts.upsert([{ id: "b", text: "card" }]);

  assert.equal(threads.length, 4);
  await killThread(threads[3]!);
  await assert.rejects(search(), code("internal"));
  write(2);
  await assert.rejects(search(), code("encoder_changed"));
  write(1);
  const answers = await Promise.all([search(), search()]);
  for (const { results } of answers) assert.deepEqual(results, before.results);
});

test("a collection whose index died keeps its writes, and serves again once its generation is activated", async (t) => {
  const threads: Worker[] = [];
  const remember = (worker: Worker) => threads.push(worker);
  process.on("worker", remember);
  t.after(() => process.off("worker", remember));
  const database = await openDatabase(t);
  const things = await vectorCollection(database, 2);
  await things.upsert([
    { id: "a", vector: [1, 0] },
    { id: "b", vector: [0, 1] },
  ]);
  assert.equal(threads.length, 1);
  await killThread(threads[0]!);
  await assert.rejects(things.query({ vector: [1, 0] }), code("internal"));
  await assert.rejects(things.upsert([{ id: "c", vector: [1, 1] }]), code("internal"));
  await assert.rejects(things.deleteItem("a"), code("internal"));
  assert.equal((await database.listCollections()).collections[0]?.status.items, 2);
  assert.equal((await ended(things, (await things.activate(0)).id)).status, "promoted");
  await things.upsert([{ id: "d", vector: [-1, 0] }]);
  const { results } = await things.query({ vector: [1, 0] });
  assert.deepEqual(
    results.map(({ id }) => id),
    ["c", "b", "d"],
  );
});

test("a deletion by filter goes part by part and spares what matches no more when its turn comes", async (t) => {
  const database = await openDatabase(t, { limits: { itemsPerBatch: 100 } });
  const things = await vectorCollection(database, 2);
  const ids = Array.from({ length: 300 }, (_, i) => `i${i}`);
  for (let first = 0; first < 300; first += 100) {
    await things.upsert(
      ids.slice(first, first + 100).map((id) => ({ id, vector: [1, first], payload: { old: first < 200 } })),
    );
  }
  const deleting = things.deleteItems({ filter: { must: [{ key: "old", equals: true }] } });
  await things.patchItem("i150", { old: false });
  assert.equal(await deleting, 199);
  assert.equal(await things.count(), 101);
  assert.equal((await things.getItem("i150")).id, "i150");
});

test("an import into a collection that is deleted meanwhile is told so", async (t) => {
  const database = await openDatabase(t);
  const things = await vectorCollection(database, 2);
  async function* lines() {
    for (let line = 1; ; line++) {
      if (line === 1000) await database.deleteCollection("things");
      yield { line, item: { id: `i${line}`, vector: [1, line] } };
    }
  }
  await assert.rejects(things.upsertLines(lines()), { code: "collection_not_found" });
});

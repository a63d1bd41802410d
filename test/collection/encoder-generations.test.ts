import assert from "node:assert/strict";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { Worker } from "node:worker_threads";
import type { Hit } from "../../schemas/index.js";
import type { Collection, Database } from "../../src/collection/index.js";
import { Random } from "../../src/vector/index.js";
import { killThread } from "../support/kill-thread.js";
import { seedOf } from "../support/seed.js";
import { temporaryDirectory } from "../support/temporary-directory.js";
import { ended, openDatabase, until } from "./support.js";
import { addTunedGeneration, classTexts, tinyEncoder, words } from "./tuned-generation.js";

const BASE = 1;
const TUNED = 2;

const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected;

interface Collections {
  database: Database;
  /** The collection under test: generation 0 by encoder BASE, generation 1 by encoder TUNED. */
  tuned: Collection;
  /** The oracles: collections of their own with these encoders, which hold the same items. */
  oracles: [Collection, Collection];
}

async function open(t: TestContext, data: string): Promise<Collections> {
  const database = await openDatabase(t, { directory: data });
  const [tuned, base, other] = ["tuned", "base", "other"].map((name) => database.collection(name));
  return { database, tuned: tuned!, oracles: [base!, other!] };
}

/** A closed data directory in which "tuned" has both generations, and each oracle its encoder. */
async function write(t: TestContext, oracles: readonly (readonly [string, number])[]): Promise<string> {
  const directory = temporaryDirectory(t);
  const data = join(directory, "data");
  const database = await openDatabase(t, { directory: data });
  const prompts = { query: "where is ", item: "the " };
  for (const [name, seed] of [["tuned", BASE] as const, ...oracles]) {
    const encoder = tinyEncoder(directory, seed);
    await database.createCollection(name, { modality: "text", encoder, prompts, keepGenerations: 2 });
  }
  await database.close();
  await addTunedGeneration(data, "tuned", TUNED);
  return data;
}

async function prepared(t: TestContext): Promise<Collections & { data: string }> {
  const data = await write(t, [
    ["base", BASE],
    ["other", TUNED],
  ]);
  return { data, ...(await open(t, data)) };
}

/** The collection under test without its oracles. */
async function alone(t: TestContext): Promise<{ database: Database; tuned: Collection; data: string }> {
  const data = await write(t, []);
  const database = await openDatabase(t, { directory: data });
  return { database, tuned: database.collection("tuned"), data };
}

function close(a: ArrayLike<number>, b: ArrayLike<number>, what: string): void {
  assert.equal(a.length, b.length, what);
  for (let i = 0; i < a.length; i++) assert.ok(Math.abs(a[i]! - b[i]!) < 1e-5, `${what}: ${a[i]} is not ${b[i]}`);
}

/** The same distances and, where items are not equally near, the same vectors. */
function near(a: readonly Hit[], b: readonly Hit[], what: string): void {
  const distances = (hits: readonly Hit[]) => hits.map(({ distance }) => distance);
  close(distances(a), distances(b), what);
  a.forEach(({ id, vector }, i) => {
    if (vector !== undefined && id === b[i]!.id)
      close(vector as number[], b[i]!.vector as number[], `${what}: vector of ${id}`);
  });
}

/** The collection answers as the oracle of its active generation does, by text, by item, by a vector, and in a batch. */
async function compare({ tuned, oracles }: Collections, random: Random, what: string): Promise<void> {
  const { activeGeneration, items } = (await tuned.info()).status;
  const oracle = oracles[activeGeneration]!;
  assert.equal(items, await oracle.count(), what);
  const [text, other] = [words(random), words(random)];
  const query = { text, k: 7, exact: true, withVector: true };
  const [mine, theirs] = [await tuned.query(query), await oracle.query(query)];
  assert.equal(mine.generation, activeGeneration);
  near(mine.results, theirs.results, `${what}: ${text}`);
  const [first] = theirs.results;
  if (first === undefined) return;
  const batch = [{ text: other }, { itemId: first.id }, { vector: first.vector! }].map((q) => ({ ...q, k: 5 }));
  const [answers, expected] = [await tuned.queryBatch(batch), await oracle.queryBatch(batch)];
  for (const [i, hits] of answers.results.entries()) near(hits, expected.results[i]!, `${what}: query ${i} of a batch`);
  const vectorOf = async (from: Collection) => (await from.getItem(first.id, { withVector: true })).vector as number[];
  close(await vectorOf(tuned), await vectorOf(oracle), `${what}: vector of an item`);
  close((await tuned.embed([text])).vectors, (await oracle.embed([text])).vectors, `${what}: embed`);
}

test("writes, switches between encoders, and restarts in any order agree with collections of each encoder", async (t) => {
  const random = new Random(seedOf("encoder generations", 3));
  let collections: Collections & { data?: string } = await prepared(t);
  const { data } = collections as { data: string };
  const all = () => [collections.tuned, ...collections.oracles];
  const trace: string[] = [];
  for (let step = 0; step < 25; step++) {
    const roll = random.uniform();
    if (roll < 0.45) {
      const count = 1 + random.integer(40);
      const ids = [...new Set(Array.from({ length: count }, () => `i${random.integer(300)}`))];
      const items = ids.map((id) => ({ id, text: words(random) }));
      for (const collection of all()) await collection.upsert(items);
      trace.push(`upsert ${ids.length}`);
    } else if (roll < 0.6) {
      const ids = Array.from({ length: 15 }, () => `i${random.integer(300)}`);
      for (const collection of all()) await collection.deleteItems({ ids });
      trace.push("delete");
    } else if (roll < 0.85) {
      const generation = random.integer(2);
      const job = await ended(collections.tuned, (await collections.tuned.activate(generation)).id);
      assert.equal(job.status, "promoted", job.reason);
      trace.push(`activate ${generation}`);
    } else {
      await collections.database.close();
      collections = await open(t, data);
      trace.push("restart");
    }
    await compare(collections, random, `step ${step} after ${trace.slice(-6).join(", ")}`);
  }
});

test("queries and writes during a switch each belong to one generation, with vector, index and number", async (t) => {
  const random = new Random(seedOf("encoder switch", 5));
  const collections = await prepared(t);
  const { tuned, oracles } = collections;
  const payload = { fixed: true };
  const items = Array.from({ length: 1500 }, (_, i) => ({ id: `i${i}`, text: words(random), payload }));
  for (const collection of [tuned, ...oracles]) await collection.upsert(items);
  const query = { text: "lost my payment card", k: 5, filter: { must: [{ key: "fixed", equals: true }] }, exact: true };
  const expected = await Promise.all(oracles.map((oracle) => oracle.query(query)));
  assert.notEqual(expected[0]!.results[0]!.distance, expected[1]!.results[0]!.distance);
  for (const generation of [1, 0, 1]) {
    const done = ended(tuned, (await tuned.activate(generation)).id);
    let switched = false;
    void done.then(() => {
      switched = true;
    });
    const written: { id: string; text: string }[] = [];
    while (!switched) {
      const item = { id: `w${generation}-${written.length}`, text: words(random) };
      written.push(item);
      const asked = [tuned.query(query), tuned.queryBatch([query]), tuned.query(query)];
      await tuned.upsert([item]);
      for (const { generation: by, results } of await Promise.all(asked)) {
        near(results.flat(), expected[by]!.results, `generation ${by} during the switch to ${generation}`);
      }
    }
    assert.equal((await done).status, "promoted");
    for (const oracle of oracles) await oracle.upsert(written);
    await compare(collections, random, `after ${written.length} writes during the switch to ${generation}`);
  }
});

test("the tuned encoder has a thread while its generation is active, and no longer", async (t) => {
  const { tuned } = await alone(t);
  await tuned.upsert([{ id: "a", text: "card lost" }]);
  let encoders = 0;
  const count = (worker: Worker & { threadName?: string | null }) => {
    encoders++;
    worker.once("exit", () => encoders--);
  };
  process.on("worker", count);
  t.after(() => process.off("worker", count));
  assert.equal((await ended(tuned, (await tuned.activate(1)).id)).status, "promoted");
  assert.equal(encoders, 2, "its encoder and its index");
  assert.equal((await ended(tuned, (await tuned.activate(0)).id)).status, "promoted");
  for (let waited = 0; encoders > 1 && waited < 5000; waited += 20) await new Promise((r) => setTimeout(r, 20));
  assert.equal(encoders, 1, "the index of generation 0");
});

test("a tuned encoder whose thread died is opened again by the next call", async (t) => {
  const { tuned } = await alone(t);
  await tuned.upsert([{ id: "a", text: "card lost" }]);
  const threads: Worker[] = [];
  const remember = (worker: Worker) => threads.push(worker);
  process.on("worker", remember);
  t.after(() => process.off("worker", remember));
  assert.equal((await ended(tuned, (await tuned.activate(1)).id)).status, "promoted");
  const query = { text: "the card lost", k: 1 };
  const before = await tuned.query(query);
  await killThread(threads[0]!);
  // Texts that nobody asked for yet: of others it is known what the encoder makes of them.
  await assert.rejects(tuned.query({ text: "the card" }), code("internal"));
  assert.equal((await tuned.query({ text: "the card" })).results.length, 1);
  assert.deepEqual((await tuned.query(query)).results, before.results);
  await tuned.upsert([{ id: "b", text: "card" }]);
  assert.equal(await tuned.count(), 2);
});

test("a head over base rows that fell behind sees what was written meanwhile", async (t) => {
  const random = new Random(seedOf("head behind", 7));
  const { tuned, data, database } = await alone(t);
  const texts = classTexts(random, 200);
  await tuned.upsert(texts.map(({ id, text }) => ({ id, text })));
  await tuned.submitFeedback({ labels: texts.slice(0, 100).map(({ id, class: label }) => ({ item: id, label })) });
  const head = await ended(tuned, (await tuned.startFineTune({ epochs: 2, promote: "always" })).id);
  assert.deepEqual([head.status, head.generation], ["promoted", 2], head.reason);
  assert.equal((await ended(tuned, (await tuned.activate(1)).id)).status, "promoted");
  const written = classTexts(random, 60).map(({ text }, i) => ({ id: `i${i * 5}`, text }));
  await tuned.upsert(written);
  await tuned.deleteItems({ ids: ["i1", "i2"] });
  await database.close();
  const again = (await openDatabase(t, { directory: data })).collection("tuned");
  assert.equal((await ended(again, (await again.activate(2)).id)).status, "promoted");
  const { items } = await again.listItems({ limit: 1000 });
  const { results } = await again.queryBatch(items.map(({ id }) => ({ itemId: id, k: 300, exact: true })));
  for (const hits of results) assert.equal(hits.length, items.length - 1);
  // What a text gives as a vector, through the head, is where its item stands: equal texts stand together.
  for (const { id, text } of written) {
    const same = items.find((item) => item.id !== id && item.text === text);
    if (same === undefined) continue;
    const [hit] = (await again.query({ itemId: id, k: 1, exact: true })).results;
    assert.ok(hit!.distance < 1e-5, `${id} is ${hit!.distance} from a text like its own`);
  }
});

test("a stopped activation leaves what it encoded, and the next one goes on from there, whatever is deleted meanwhile", async (t) => {
  const random = new Random(seedOf("encoder stop", 6));
  const { tuned, oracles, data, database } = await prepared(t);
  const items = Array.from({ length: 2000 }, (_, i) => ({ id: `i${i}`, text: words(random) }));
  for (const collection of [tuned, ...oracles]) await collection.upsert(items);
  const { id } = await tuned.activate(1);
  await until(tuned, id, ({ phase, progress }) => phase === "reEmbedding" && progress.done > 0);
  await tuned.cancelJob(id);
  assert.equal((await ended(tuned, id)).status, "cancelled");
  await database.close();
  const collections = await open(t, data);
  const next = await collections.tuned.activate(1);
  const totals: number[] = [];
  collections.tuned.watchJob(next.id, ({ phase, progress }) => {
    if (phase === "reEmbedding") totals.push(progress.total);
  });
  await until(collections.tuned, next.id, ({ phase, progress }) => phase === "reEmbedding" && progress.done > 0);
  // The last of all: nothing with a higher label makes the file of rows long enough for them.
  const replaced = items.slice(-5).map((item) => ({ ...item, text: `${item.text} card` }));
  for (const collection of [collections.tuned, ...collections.oracles]) {
    await collection.deleteItems({ ids: items.slice(-40, -5).map((item) => item.id) });
    await collection.upsert(replaced);
    await collection.deleteItems({ ids: replaced.map((item) => item.id) });
  }
  const job = await ended(collections.tuned, next.id);
  assert.equal(job.status, "promoted", job.reason);
  assert.equal(job.phase, undefined);
  assert.ok(totals[0]! < 2000, `${totals[0]} were encoded again`);
  await compare(collections, random, "after a second activation");
});

test("a head is refused beside a tuned encoder, and an encoder to tune where there is none", async (t) => {
  const { tuned, database } = await alone(t);
  await tuned.upsert([{ id: "a", text: "card lost" }]);
  await ended(tuned, (await tuned.activate(1)).id);
  await assert.rejects(tuned.startFineTune({}), code("invalid_setting"));
  await assert.rejects(tuned.startFineTune({ scope: "encoder" }), code("not_enough_feedback"));
  await database.createCollection("plain", { modality: "vector", dimensions: 2 });
  await assert.rejects(database.collection("plain").startFineTune({ scope: "encoder" }), code("no_encoder"));
  await assert.rejects(tuned.startFineTune({ scope: "head", rank: 4 }), code("invalid_setting"));
});

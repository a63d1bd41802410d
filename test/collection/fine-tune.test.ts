import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { Collection } from "../../src/collection/index.js";
import { Random } from "../../src/vector/index.js";
import { itemId, type Learnable, learnable, precision, triplets } from "../support/learnable.js";
import { seedOf } from "../support/seed.js";
import { ended, fill, openDatabase, until, vectorCollection } from "./support.js";

const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected;

/** The defaults suit encoders of hundreds of dimensions; these few dimensions learn in large steps. */
const QUICK = { learningRate: 0.01, epochs: 60 };

async function precisionOf(things: Collection, data: Learnable): Promise<number> {
  const queries = Array.from({ length: 100 }, (_, i) => i * 3);
  const { results } = await things.queryBatch(queries.map((query) => ({ itemId: itemId(query), k: 10 })));
  return precision(
    data.classes,
    results.map((hits, i) => ({ query: queries[i] ?? 0, ids: hits.map(({ id }) => id) })),
  );
}

async function prepared(t: Parameters<typeof openDatabase>[0], settings = {}) {
  const random = new Random(seedOf("fine-tune", 11));
  const data = learnable(random, 600);
  const database = await openDatabase(t);
  const things = await vectorCollection(database, data.dimensions, settings);
  await fill(things, data);
  return { random, data, database, things };
}

for (const metric of ["cosine", "euclidean"] as const) {
  test(`true feedback makes a better generation, which goes live and survives a restart (${metric})`, async (t) => {
    const { random, data, database, things } = await prepared(t, { metric });
    const before = await precisionOf(things, data);
    await things.submitFeedback({ triplets: triplets(random, data, 200) });
    const phases: string[] = [];
    const { id } = await things.startFineTune(QUICK);
    things.watchJob(id, ({ phase }) => phase !== undefined && phases.at(-1) !== phase && phases.push(phase));
    const job = await ended(things, id);
    assert.equal(job.status, "promoted", job.reason);
    assert.equal(job.generation, 1);
    assert.ok((job.metrics?.improvement.low ?? 0) > 0);
    assert.ok(job.lossCurve.length > 0);
    for (const phase of ["training", "evaluating", "reEmbedding", "indexing", "catchingUp"])
      assert.ok(phases.includes(phase), phase);
    const after = await precisionOf(things, data);
    t.diagnostic(`precision at 10: ${before.toFixed(3)} before, ${after.toFixed(3)} after`);
    assert.ok(after > before + 0.05, `${before} -> ${after}`);

    // A vector in a query is in the space of the base rows, so the head is applied to it as to items.
    const [self] = (await things.query({ vector: data.vectors[7]!, k: 1 })).results;
    assert.equal(self?.id, itemId(7));
    assert.ok(Math.abs(self?.distance ?? 1) < 1e-5);

    const { directory } = database;
    await database.close();
    const again = (await openDatabase(t, { directory })).collection("things");
    assert.equal((await again.info()).status.activeGeneration, 1);
    assert.equal(await precisionOf(again, data), after);
    assert.deepEqual(
      await readdir(join(directory, "collections", (await readdir(join(directory, "collections")))[0]!)),
      ["base-1", "generations"],
    );
  });
}

test("training runs on the provider of the server, and a job whose provider cannot start says so", async (t) => {
  const random = new Random(seedOf("provider", 12));
  const data = learnable(random, 200);
  const provider = process.platform === "darwin" ? "dml" : "coreml";
  const things = await vectorCollection(await openDatabase(t, { provider }), data.dimensions);
  await fill(things, data);
  await things.submitFeedback({ triplets: triplets(random, data, 40) });
  const job = await ended(things, (await things.startFineTune(QUICK)).id);
  assert.equal(job.status, "failed");
  assert.match(job.reason ?? "", new RegExp(`execution provider ${provider} cannot start`));
});

test("shuffled feedback is rejected and nothing changes", async (t) => {
  const { random, data, things } = await prepared(t);
  const query = { vector: data.vectors[0]!, k: 10 };
  const before = await things.query(query);
  await things.submitFeedback({ triplets: triplets(random, data, 200, true) });
  const job = await ended(things, (await things.startFineTune({})).id);
  assert.equal(job.status, "rejected");
  assert.ok(job.reason);
  const { results, generation } = await things.query(query);
  assert.deepEqual(
    results.map(({ id }) => id),
    before.results.map(({ id }) => id),
  );
  assert.equal(generation, 0);
  assert.equal((await things.generations()).generations.length, 1);
});

test("writes made while a fine-tune runs are in the new generation, and a rollback keeps writes made since", async (t) => {
  const { random, data, things } = await prepared(t);
  await things.submitFeedback({ triplets: triplets(random, data, 200) });
  const { id } = await things.startFineTune(QUICK);
  await assert.rejects(things.startFineTune(QUICK), code("job_running"));
  let writes = 0;
  const extra = learnable(random, 2000);
  const done = ended(things, id);
  for (let running = true; running; ) {
    const item = { id: `during-${writes}`, vector: extra.vectors[writes % 2000]! };
    await things.upsert([item]);
    await things.deleteItem(itemId(300 + (writes % 300))).catch(() => {});
    writes++;
    running = await Promise.race([done.then(() => false), new Promise<boolean>((r) => setTimeout(() => r(true), 2))]);
  }
  assert.equal((await done).status, "promoted");
  t.diagnostic(`${writes} writes during the job`);
  const found = async (name: string, vector: number[]) => {
    const { results, generation } = await things.query({ vector, k: 1, exact: true });
    assert.equal(results[0]?.id, name);
    return generation;
  };
  for (let i = 0; i < writes; i += Math.ceil(writes / 50)) {
    if (i < 2000) assert.equal(await found(`during-${i}`, extra.vectors[i]!), 1);
  }
  assert.equal(
    (await things.query({ vector: data.vectors[1]!, k: 10_000, exact: true })).results.length,
    await things.count(),
  );

  await things.upsert([{ id: "since", vector: [...data.vectors[5]!.slice(1), 9] }]);
  await things.deleteItem(itemId(0));
  const rollback = await ended(things, (await things.activate(0)).id);
  assert.equal(rollback.kind, "activation");
  assert.equal(rollback.status, "promoted");
  assert.equal(await found("since", [...data.vectors[5]!.slice(1), 9]), 0);
  const { results } = await things.query({ vector: data.vectors[0]!, k: 10_000 });
  assert.equal(results.length, await things.count());
  assert.ok(!results.some(({ id: name }) => name === itemId(0)));

  const forward = await ended(things, (await things.activate(1)).id);
  assert.equal(forward.status, "promoted");
  assert.equal(await found("since", [...data.vectors[5]!.slice(1), 9]), 1);
  const list = (await things.generations()).generations;
  assert.deepEqual(
    list.map(({ generation, active, items }) => [generation, active, items]),
    [
      [0, false, await things.count()],
      [1, true, await things.count()],
    ],
  );
  await assert.rejects(things.activate(7), code("generation_not_found"));
});

test("a job can be cancelled in training, and too little feedback is refused at once", async (t) => {
  const { random, data, database, things } = await prepared(t);
  await things.submitFeedback({ triplets: triplets(random, data, 3) });
  await assert.rejects(things.startFineTune({}), code("not_enough_feedback"));
  await things.submitFeedback({ triplets: triplets(random, data, 400) });
  const { id } = await things.startFineTune({ epochs: 5000 });
  await until(things, id, ({ phase, progress }) => phase === "training" && progress.done > 0);
  await things.cancelJob(id);
  const job = await ended(things, id);
  assert.equal(job.status, "cancelled");
  await assert.rejects(things.cancelJob(id), code("job_finished"));
  assert.throws(() => things.job("99"), code("fine_tune_not_found"));
  const [uid] = await readdir(join(database.directory, "collections"));
  const left = await readdir(join(database.directory, "collections", uid!, "jobs")).catch(() => []);
  assert.deepEqual(left, []);
});

test("promote never keeps a ready generation, which can be activated; old generations are collected", async (t) => {
  const { random, data, things } = await prepared(t, { keepGenerations: 1 });
  await things.submitFeedback({ triplets: triplets(random, data, 200) });
  const ready = await ended(things, (await things.startFineTune({ ...QUICK, promote: "never" })).id);
  assert.equal(ready.status, "ready");
  assert.equal((await things.info()).status.activeGeneration, 0);
  assert.equal((await ended(things, (await things.activate(1)).id)).status, "promoted");
  const next = await ended(things, (await things.startFineTune({ promote: "always", seed: 3 })).id);
  assert.equal(next.status, "promoted");
  assert.equal(next.generation, 2);
  // The job ends before the files of older generations are gone; the next job of the collection waits for that.
  await ended(things, (await things.activate(2)).id);
  assert.deepEqual(
    (await things.generations()).generations.map(({ generation }) => generation),
    [1, 2],
  );
});

test("generations that are only kept are collected too", async (t) => {
  const { random, data, things } = await prepared(t, { keepGenerations: 1 });
  await things.submitFeedback({ triplets: triplets(random, data, 200) });
  for (const seed of [1, 2]) {
    const { id } = await things.startFineTune({ ...QUICK, promote: "never", seed });
    assert.equal((await ended(things, id)).status, "ready");
  }
  // The job ends a moment before older generations are gone.
  const numbers = async () => (await things.generations()).generations.map(({ generation }) => generation);
  for (let waited = 0; (await numbers()).length > 2 && waited < 5000; waited += 50)
    await new Promise((r) => setTimeout(r, 50));
  assert.deepEqual(await numbers(), [0, 2]);
});

test("closing the database in the middle of a job leaves it interrupted and the data whole", async (t) => {
  const { random, data, database, things } = await prepared(t);
  await things.submitFeedback({ triplets: triplets(random, data, 400) });
  const { id } = await things.startFineTune({ epochs: 5000 });
  await until(things, id, ({ phase }) => phase === "training");
  const { directory } = database;
  await database.close();
  const again = (await openDatabase(t, { directory })).collection("things");
  assert.equal(again.job(id).status, "interrupted");
  assert.equal(await again.count(), 600);
});

test("requests side by side start one fine-tune, and patches side by side all hold, also after a restart", async (t) => {
  const { random, data, database, things } = await prepared(t);
  await things.submitFeedback({ triplets: triplets(random, data, 50) });
  const starts = await Promise.allSettled(Array.from({ length: 5 }, () => things.startFineTune({ epochs: 2 })));
  assert.equal(starts.filter(({ status }) => status === "fulfilled").length, 1);
  for (const start of starts) if (start.status === "rejected") assert.ok(code("job_running")(start.reason));
  const patches = [{ keepGenerations: 9 }, { index: { efSearch: 77 } }, { autoTune: { minFeedback: 1000 } }];
  await Promise.all(patches.map((patch) => things.patch(patch)));
  await ended(things, "1");
  const { directory } = database;
  await database.close();
  const again = (await openDatabase(t, { directory })).collection("things");
  const { keepGenerations, index, autoTune } = await again.info();
  assert.deepEqual([keepGenerations, index.efSearch, autoTune?.minFeedback], [9, 77, 1000]);
  assert.equal((await again.listJobs({})).fineTunes.length, 1);
});

test("feedback sent side by side is counted whole", async (t) => {
  const { random, data, things } = await prepared(t);
  await Promise.all(triplets(random, data, 40).map((triplet) => things.submitFeedback({ triplets: [triplet] })));
  const { triplets: count, sinceFineTune } = (await things.info()).status.feedback;
  assert.equal(sinceFineTune, count);
});

test("autoTune goes by the feedback that came during a job, once that has ended", async (t) => {
  const { random, data, things } = await prepared(t);
  await things.submitFeedback({ triplets: triplets(random, data, 200) });
  await things.patch({ autoTune: { minFeedback: 30, epochs: 2, promote: "never" } });
  const { id } = await things.startFineTune({ epochs: 200, promote: "never" });
  await until(things, id, ({ phase, progress }) => phase === "training" && progress.done > 0);
  const during = await things.submitFeedback({ triplets: triplets(random, data, 60) });
  assert.equal(during.fineTune, undefined);
  await ended(things, id);
  while ((await things.listJobs({})).fineTunes.length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
  const next = await ended(things, "2");
  assert.deepEqual(next.options, { epochs: 2, promote: "never" });
  assert.equal((await things.info()).status.feedback.sinceFineTune, 0);
  assert.equal((await things.listJobs({})).fineTunes.length, 2);
});

test("what served until a switch is kept, with its number of items, and activating the active one changes nothing", async (t) => {
  const { random, data, things } = await prepared(t, { keepGenerations: 1 });
  await things.submitFeedback({ triplets: triplets(random, data, 50) });
  const tune = async (seed: number) => {
    const job = await ended(things, (await things.startFineTune({ epochs: 2, promote: "always", seed })).id);
    assert.equal(job.status, "promoted", job.reason);
  };
  const activate = async (generation: number) => {
    const job = await ended(things, (await things.activate(generation)).id);
    assert.deepEqual([job.status, job.generation], ["promoted", generation]);
  };
  const list = async () =>
    (await things.generations()).generations.map(({ generation, active, items }) => [generation, active, items]);
  await tune(1);
  await activate(0);
  await activate(0);
  await things.upsert([{ id: "more", vector: data.vectors[0]! }]);
  await tune(2);
  await activate(2); // the job ends before older generations are collected; the next one waits for that
  assert.deepEqual(await list(), [
    [0, false, 601],
    [2, true, 601],
  ]);
  assert.equal((await things.query({ itemId: "more", k: 1 })).results[0]?.id, itemId(0));
});

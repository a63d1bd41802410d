import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { seedOf } from "../support/seed.js";
import { temporaryDirectory } from "../support/temporary-directory.js";
import { crash } from "./crash.js";
import { ended, openDatabase } from "./support.js";

/** Every acknowledged item answers, by id and by query, and one generation is active. */
async function check(t: TestContext, directory: string, acknowledged: string[]) {
  const database = await openDatabase(t, { directory });
  const things = database.collection("things");
  const items = await things.getItems(acknowledged, { withVector: true });
  assert.equal(items.length, acknowledged.length);
  const sample = items.filter((_, i) => i % Math.ceil(items.length / 60) === 0);
  const { results } = await things.queryBatch(sample.map(({ vector = [] }) => ({ vector, k: 1 })));
  assert.deepEqual(
    results.map(([hit]) => hit?.id),
    sample.map(({ id }) => id),
  );
  const { generations } = await things.generations();
  assert.equal(generations.filter(({ active }) => active).length, 1);
  return { database, things };
}

test("kill -9 during inserts loses no acknowledged item, three times over", async (t) => {
  const directory = temporaryDirectory(t);
  const seed = seedOf("crash", 21);
  const all: string[] = [];
  for (const round of [0, 1, 2]) {
    all.push(...(await crash(t, [directory, String(seed + round)], (_line, count) => count >= 150 * (round + 1))));
    const { database } = await check(t, directory, all);
    await database.close();
  }
});

for (const phase of ["training", "evaluating", "reEmbedding", "indexing", "catchingUp", "promoted"]) {
  test(`kill -9 of a server in the phase ${phase} leaves one active generation and every acknowledged item`, async (t) => {
    const directory = temporaryDirectory(t);
    const seed = seedOf("crash", 31);
    const acknowledged = await crash(t, [directory, String(seed), "tune"], (line) => line === `phase ${phase}`);
    const { database, things } = await check(t, directory, acknowledged);
    const { status, activeGeneration } = { ...things.job("1"), ...(await things.info()).status };
    if (phase === "promoted") assert.deepEqual([status, activeGeneration], ["promoted", 1]);
    else if (status !== "promoted") assert.deepEqual([status, activeGeneration], ["interrupted", 0]);
    // The collection is as good as new: the same feedback makes a generation.
    const job = await ended(things, (await things.startFineTune({ learningRate: 0.01, epochs: 60 })).id);
    assert.ok(["promoted", "rejected"].includes(job.status), `${job.status}: ${job.reason}`);
    if (activeGeneration === 0) assert.equal(job.status, "promoted", job.reason);
    await database.close();
  });
}

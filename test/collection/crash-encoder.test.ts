import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { Collection } from "../../src/collection/index.js";
import { seedOf } from "../support/seed.js";
import { temporaryDirectory } from "../support/temporary-directory.js";
import { crash } from "./crash.js";
import { ended, openDatabase } from "./support.js";
import { tinyEncoder } from "./tuned-generation.js";

/** Every acknowledged text stands where the active generation's encoder puts it, and nothing else is found. */
async function checkTexts(texts: Collection, acknowledged: string[]): Promise<void> {
  const items = await texts.getItems(acknowledged);
  assert.equal(items.length, acknowledged.length);
  const sample = items.filter((_, i) => i % Math.ceil(items.length / 60) === 0 || i >= items.length - 5);
  const { results } = await texts.queryBatch(sample.map(({ text }) => ({ text: text!, k: 1, exact: true })));
  results.forEach(([hit], i) => {
    assert.ok(Math.abs(hit?.distance ?? 1) < 1e-4, `${sample[i]?.id} is at ${hit?.distance}`);
  });
  const all = await texts.query({ text: "card", k: 10_000, exact: true });
  assert.equal(all.results.length, await texts.count());
}

for (const phase of ["preparing", "training", "reEmbedding", "indexing", "catchingUp", "promoted"]) {
  test(`kill -9 in the phase ${phase} of an encoder's fine-tune loses no write, and the job goes on at the next start`, async (t) => {
    const folder = temporaryDirectory(t);
    const directory = join(folder, "data");
    const encoder = tinyEncoder(folder, 4);
    const args = [directory, String(seedOf("crash encoder", 41)), encoder];
    const acknowledged = await crash(t, args, (line) => line === `phase ${phase}`, "./crash-encoder-child.js");
    const stopped = await openDatabase(t, { directory, resumeFineTunes: false });
    let texts = stopped.collection("texts");
    const { status, resumable } = texts.job("1");
    // In one batch with the first item.
    for (let i = 1; i < 240; i++) acknowledged.push(`i${i}`);
    if (phase === "promoted") assert.equal(status, "promoted");
    else if (status !== "promoted")
      assert.deepEqual([status, resumable ?? phase], ["interrupted", resumable ? true : "preparing"]);
    await checkTexts(texts, acknowledged);
    await stopped.close();
    const database = await openDatabase(t, { directory });
    texts = database.collection("texts");
    const job = await ended(texts, "1");
    // Killed before all was written down that it works on, it is to be started again.
    if (resumable !== true && phase === "preparing") return void assert.equal(job.status, "interrupted");
    assert.equal(job.status, "promoted", job.reason);
    assert.equal((await texts.info()).status.activeGeneration, job.generation);
    await checkTexts(texts, acknowledged);
    assert.equal((await ended(texts, (await texts.activate(0)).id)).status, "promoted");
    await checkTexts(texts, acknowledged);
    await database.close();
  });
}

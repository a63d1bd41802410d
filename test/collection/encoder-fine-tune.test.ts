import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import * as onnxruntime from "onnxruntime-node";
import type { Collection } from "../../src/collection/index.js";
import { bertTokenizer, writeEncoder } from "../encoder/support/tiny-encoder.js";
import { code, jobFolders, LONG, labelledTexts, QUICK, restart, tune } from "./encoder-jobs.js";
import { ended, until } from "./support.js";

/** Share of the ten nearest of items nobody labelled that are of their class. */
async function precision(texts: Collection): Promise<number> {
  let right = 0;
  for (let i = 300; i < 340; i++) {
    const { results } = await texts.query({ itemId: `i${i}`, k: 10, exact: true });
    const { payload } = await texts.getItem(`i${i}`);
    right += results.filter((hit) => hit.payload?.label === payload?.label).length;
  }
  return right / 400;
}

test("an encoder learns from labels, goes live with rows of its own, and answers after a restart and a rollback", async (t) => {
  const { database, texts, folder } = await labelledTexts(t);
  const before = await precision(texts);
  const phases: string[] = [];
  const { id } = await texts.startFineTune(QUICK);
  texts.watchJob(id, ({ phase }) => phase !== undefined && phases.at(-1) !== phase && phases.push(phase));
  // Written while it trains: caught up with in the end.
  await texts.upsert([{ id: "during", text: "hello card world" }]);
  await texts.deleteItem("i359");
  const job = await ended(texts, id);
  assert.deepEqual([job.status, job.generation, job.phase], ["promoted", 1, undefined], job.reason);
  for (const phase of ["training", "evaluating", "reEmbedding", "indexing", "catchingUp"])
    assert.ok(phases.includes(phase), `${phase} of ${phases}`);
  assert.ok(job.plan!.parameters > 0 && job.plan!.memoryBytes > 0 && job.peakMemoryBytes! > 0);
  assert.equal(job.recipe!.loss, "triplet");
  assert.deepEqual(job.metrics!.labels!.map(({ label }) => label).sort(), ["card", "lost", "my", "pay"]);
  for (const { anchor } of job.metrics!.better!) assert.ok((await texts.getItem(anchor as string)).id);
  const after = await precision(texts);
  t.diagnostic(`precision ${before} before, ${after} after`);
  assert.ok(after > before + 0.1, `${before} -> ${after}`);

  // The model runs anywhere: a collection of its own with it as its encoder answers alike.
  const { path, bytes, checksum } = await texts.model(1);
  const file = readFileSync(path);
  assert.deepEqual([file.length, createHash("sha256").update(file).digest("hex")], [bytes, checksum]);
  const session = await onnxruntime.InferenceSession.create(path);
  assert.deepEqual(session.inputNames, ["input_ids", "attention_mask"]);
  await session.release();
  const copy = join(folder, "copy");
  const tokenizer = { "tokenizer.json": bertTokenizer(), "config.json": { max_position_embeddings: 64 } };
  writeEncoder(copy, { "model.onnx": file, ...tokenizer });
  await database.createCollection("copy", { modality: "text", encoder: `file:${copy}` });
  const other = database.collection("copy");
  const all = (await texts.listItems({ limit: 1000 })).items;
  await other.upsert(all.map((item) => ({ id: item.id, text: item.text! })));
  const asked = { text: "where is my card", k: 20, exact: true };
  const distances = async (from: Collection) => (await from.query(asked)).results.map(({ distance }) => distance);
  const [mine, theirs] = [await distances(texts), await distances(other)];
  mine.forEach((distance, i) => {
    assert.ok(Math.abs(distance - theirs[i]!) < 1e-4, `${distance} is not ${theirs[i]}`);
  });
  await assert.rejects(texts.model(0), code("model_not_found"));
  await assert.rejects(texts.model(9), code("generation_not_found"));

  const again = await restart(t, database);
  assert.deepEqual(await distances(again.texts), mine);
  await jobFolders(database.directory, []);
  await again.texts.upsert([{ id: "since", text: "pay pay pay" }]);
  assert.equal((await ended(again.texts, (await again.texts.activate(0)).id)).status, "promoted");
  assert.ok(Math.abs((await precision(again.texts)) - before) < 0.02);
  assert.equal((await again.texts.query({ text: "pay pay pay", k: 1, exact: true })).results[0]?.id, "since");
  const { results } = await again.texts.query({ text: "hello", k: 1000, exact: true });
  assert.equal(results.length, 361);

  // On from the tuned encoder, also with content that is no item; what is compared with is the tuned one.
  assert.equal((await ended(again.texts, (await again.texts.activate(1)).id)).status, "promoted");
  const pairs = ["card", "lost"].map((word, i) => ({
    a: { text: `hello ${word}` },
    b: `i${i}`,
    label: "similar" as const,
  }));
  await again.texts.submitFeedback({ pairs });
  const on = await tune(again.texts, { ...QUICK, epochs: 1, from: "active", promote: "always", loss: "info-nce" });
  assert.deepEqual([on.status, on.generation, on.recipe?.loss], ["promoted", 2, "info-nce"], on.reason);
  assert.ok(on.metrics!.before.logRank! < job.metrics!.before.logRank!);
  assert.equal((await again.texts.generations()).generations.at(-1)?.scope, "encoder");
});

test("a dry run keeps nothing, and without labels an encoder learns from the items alone", async (t) => {
  const { database, texts, directory } = await labelledTexts(t);
  const dry = await tune(texts, { ...QUICK, dryRun: true });
  assert.deepEqual([dry.status, dry.generation], ["ready", undefined], dry.reason);
  assert.ok(dry.metrics!.improvement.low > 0);
  assert.equal((await texts.generations()).generations.length, 1);
  await jobFolders(directory, []);

  for (const { id } of (await texts.listFeedback({ limit: 1000 })).feedback) await texts.deleteFeedback(id);
  await assert.rejects(texts.startFineTune(QUICK), code("not_enough_feedback"));
  const alone = await tune(texts, { ...QUICK, epochs: 1, source: "augmentation", promote: "always" });
  assert.equal(alone.status, "promoted", alone.reason);
  assert.equal(alone.metrics!.judgedBy, "augmentation");

  // Fewer items than it takes to judge are refused at once, not by a job that fails.
  const ids = (await texts.listItems({ limit: 1000 })).items.map(({ id }) => id);
  await texts.deleteItems({ ids: ids.slice(49) });
  const active = { ...QUICK, source: "augmentation", from: "active" } as const;
  await assert.rejects(texts.startFineTune(active), code("not_enough_feedback"));
  await database.close();
});

test("a training process that dies is a failed job that says so; the server and its collection go on", async (t) => {
  const { texts, directory } = await labelledTexts(t);
  const pids: number[] = [];
  const remember = (message: unknown) =>
    setImmediate(() => pids.push((message as { process: { pid: number } }).process.pid));
  subscribe("child_process", remember);
  t.after(() => unsubscribe("child_process", remember));
  const { id } = await texts.startFineTune(LONG);
  await until(texts, id, ({ phase, progress }) => phase === "training" && progress.done > 0);
  process.kill(pids[0]!, "SIGKILL");
  const job = await ended(texts, id);
  assert.equal(job.status, "failed");
  assert.match(job.reason!, /SIGKILL.*memory/);
  await jobFolders(directory, []);
  assert.equal((await texts.query({ text: "card", k: 1 })).generation, 0);
  assert.equal((await tune(texts, { epochs: 1, promote: "always" })).status, "promoted");
  assert.ok(existsSync((await texts.model(1)).path));
});

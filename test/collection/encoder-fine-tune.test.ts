import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { cpSync, existsSync, readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import * as onnxruntime from "onnxruntime-node";
import type { Job } from "../../schemas/index.js";
import type { Collection, Database, DatabaseOptions } from "../../src/collection/index.js";
import { Random } from "../../src/vector/index.js";
import { bertTokenizer, writeEncoder } from "../encoder/support/tiny-encoder.js";
import { seedOf } from "../support/seed.js";
import { temporaryDirectory } from "../support/temporary-directory.js";
import { ended, openDatabase, until } from "./support.js";
import { classTexts, tinyEncoder } from "./tuned-generation.js";

const QUICK = { scope: "encoder", learningRate: 0.02, epochs: 4, batchSize: 32, seed: 1 } as const;
/** Long enough to be cut off in the middle. */
const LONG = { ...QUICK, epochs: 24, learningRate: 0.005 } as const;

const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected;

async function prepared(t: TestContext, options: Partial<DatabaseOptions> = {}) {
  const random = new Random(seedOf("encoder fine-tune", 8));
  const folder = temporaryDirectory(t);
  const directory = join(folder, "data");
  const database = await openDatabase(t, { ...options, directory });
  await database.createCollection("texts", { modality: "text", encoder: tinyEncoder(folder, 4) });
  const texts = database.collection("texts");
  const items = classTexts(random, 360);
  await texts.upsert(items.map(({ id, text, class: label }) => ({ id, text, payload: { label } })));
  await texts.submitFeedback({ labels: items.slice(0, 200).map(({ id, class: label }) => ({ item: id, label })) });
  return { random, folder, directory, database, texts, items };
}

/** Closes the database and opens it again. */
async function restart(t: TestContext, database: Database, options: Partial<DatabaseOptions> = {}) {
  await database.close();
  const again = await openDatabase(t, { directory: database.directory, ...options });
  return { database: again, texts: again.collection("texts") };
}

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

async function tune(texts: Collection, options: Parameters<Collection["startFineTune"]>[0]): Promise<Job> {
  return ended(texts, (await texts.startFineTune(options)).id);
}

/** The folders of jobs that are there a moment later: a job ends before its folder is gone. */
async function jobFolders(directory: string, expected: string[]): Promise<void> {
  const [uid] = await readdir(join(directory, "collections"));
  const folders = () => readdir(join(directory, "collections", uid!, "jobs")).catch(() => []);
  for (let waited = 0; String(await folders()) !== String(expected) && waited < 5000; waited += 20)
    await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(await folders(), expected);
}

test("an encoder learns from labels, goes live with rows of its own, and answers after a restart and a rollback", async (t) => {
  const { database, texts, folder } = await prepared(t);
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

test("cut off by a stop, a job goes on where it was, to the very weights that it would have had", async (t) => {
  const { database, texts } = await prepared(t);
  const whole = await tune(texts, { ...LONG, promote: "never" });
  assert.equal(whole.status, "ready", whole.reason);
  const { id } = await texts.startFineTune({ ...LONG, promote: "never" });
  await until(texts, id, ({ phase, progress }) => phase === "training" && progress.done > progress.total / 3);
  const early = await restart(t, database, { resumeFineTunes: false });
  assert.deepEqual(
    [early.texts.job(id).status, early.texts.job(id).resumable, early.texts.job(id).phase],
    ["interrupted", true, undefined],
  );
  await jobFolders(database.directory, [id]);
  // Nor does it matter that its last items are gone: their rows are there while it may read them.
  await early.texts.deleteItems({ ids: Array.from({ length: 20 }, (_, i) => `i${359 - i}`) });
  const stopped = await restart(t, early.database, { resumeFineTunes: false });
  // Written and said since: none of it is in the job.
  await stopped.texts.deleteItem("i5");
  await stopped.texts.submitFeedback({ labels: [{ item: "i330", label: "pay" }] });
  const resumed = await stopped.texts.resumeFineTune(id);
  assert.deepEqual(resumed, { id, status: "queued" });
  await assert.rejects(stopped.texts.resumeFineTune(id), code("job_not_resumable"));
  await assert.rejects(stopped.texts.startFineTune(QUICK), code("job_running"));
  const job = await ended(stopped.texts, id);
  assert.deepEqual([job.status, job.resumed, job.resumable, job.reason], ["ready", 1, undefined, undefined]);
  const [first, second] = await Promise.all([whole, job].map(({ generation }) => stopped.texts.model(generation!)));
  assert.equal(second!.checksum, first!.checksum);
  await jobFolders(database.directory, []);
  await assert.rejects(stopped.texts.resumeFineTune(id), code("job_not_resumable"));
});

test("a job that was cut off goes on by itself at the next start, and is given up by a cancellation or a new job", async (t) => {
  const { database, texts, folder, directory } = await prepared(t);
  const begin = async (from: Collection) => {
    const { id } = await from.startFineTune(LONG);
    await until(from, id, ({ phase, progress }) => phase === "training" && progress.done > 0);
    return id;
  };
  const id = await begin(texts);
  const second = await restart(t, database);
  const job = await ended(second.texts, id);
  assert.deepEqual([job.status, job.resumed, job.generation], ["promoted", 1, 1], job.reason);

  const given = await begin(second.texts);
  await second.database.close();
  // A copy of the whole directory names the folders of the first, and must leave them alone.
  const copied = join(folder, "copied");
  cpSync(directory, copied, { recursive: true });
  const copy = await openDatabase(t, { directory: copied });
  assert.deepEqual(
    [copy.collection("texts").job(given).status, copy.collection("texts").job(given).resumable],
    ["interrupted", undefined],
  );
  await copy.close();
  const third = await restart(t, second.database, { resumeFineTunes: false });
  await Promise.all([
    assert.rejects(third.texts.resumeFineTune(given), code("job_not_resumable")),
    third.texts.cancelJob(given).then(({ status }) => assert.equal(status, "cancelled")),
  ]);
  await jobFolders(database.directory, []);
  await assert.rejects(third.texts.cancelJob(given), code("job_finished"));

  const left = await begin(third.texts);
  const fourth = await restart(t, third.database, { resumeFineTunes: false });
  // Both are asked for at once: the activation comes first, and what the job is compared with is not active any more.
  const [activation, resumed] = await Promise.allSettled([fourth.texts.activate(0), fourth.texts.resumeFineTune(left)]);
  assert.equal(
    activation.status === "fulfilled" && (await ended(fourth.texts, activation.value.id)).status,
    "promoted",
  );
  if (resumed.status === "rejected") assert.equal(resumed.reason.code, "job_not_resumable");
  else assert.match((await ended(fourth.texts, left)).reason!, /generation 1 was active when it began/);
  assert.equal((await fourth.texts.info()).status.activeGeneration, 0);
  await fourth.texts.startFineTune({ ...QUICK, dryRun: true });
  assert.equal(fourth.texts.job(left).resumable, undefined);
});

test("a dry run keeps nothing, and without labels an encoder learns from the items alone", async (t) => {
  const { database, texts, directory } = await prepared(t);
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
  await database.close();
});

test("a training process that dies is a failed job that says so; the server and its collection go on", async (t) => {
  const { texts, directory } = await prepared(t);
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

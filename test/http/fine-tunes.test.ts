import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { InferenceSession, Tensor } from "onnxruntime-node";
import type { CollectionClient, Job } from "../../src/client/index.js";
import type { ErrorCode } from "../../src/errors/index.js";
import { Random } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";
import { assertProblem, type ServerUnderTest, serve } from "./support.js";

const DIMENSIONS = 16;
const CLASSES = 8;

/** So small a collection learns in moments at a higher rate than the default. */
const LEARN = { seed: 1, learningRate: 0.01, epochs: 60 };

let server: ServerUnderTest;
let collection: CollectionClient;
const random = new Random(seedOf("fine-tunes over HTTP", 3));

/** Items whose class shows in the first half of the dimensions, under louder noise in the second half. */
const items = Array.from({ length: 400 }, (_, n) => ({
  id: `i${n}`,
  vector: Array.from({ length: DIMENSIONS }, (_, i) =>
    i < CLASSES ? (i === n % CLASSES ? 1 : 0) + 0.3 * random.normal() : 1.5 * random.normal(),
  ),
  payload: { class: n % CLASSES },
}));

const sameClass = (n: number) => (n + CLASSES * (1 + random.integer(20))) % items.length;
const otherClass = (n: number) => (n + 1 + random.integer(CLASSES - 1)) % items.length;
const triplets = Array.from({ length: 200 }, (_, n) => ({
  anchor: `i${n}`,
  positive: `i${sameClass(n)}`,
  negative: `i${otherClass(n)}`,
}));

before(async () => {
  server = await serve();
  ({ collection } = await server.client.createCollection("tuned", { modality: "vector", dimensions: DIMENSIONS }));
  await collection.upsert(items);
});
after(() => server.stop());

/** Share of the ten nearest that are of the item's class. */
async function precision(): Promise<number> {
  let right = 0;
  for (let n = 300; n < 400; n++) {
    const { results } = await collection.query({ itemId: `i${n}`, k: 10, exact: true });
    right += results.filter(({ payload }) => payload?.class === n % CLASSES).length;
  }
  return right / 1000;
}

test("the loop: feedback, a fine-tune followed to its end, better results, and back again", async () => {
  const before = await precision();
  const { accepted } = await collection.submitFeedback({ triplets });
  assert.equal(accepted, triplets.length);

  const started = await server.send("POST", "/v1/collections/tuned/fine-tunes", { body: LEARN });
  assert.equal(started.status, 202, started.text);
  const { id } = started.json as { id: string };
  assert.equal(started.headers.location, `/v1/collections/tuned/fine-tunes/${id}`);
  const second = await server.send("POST", "/v1/collections/tuned/fine-tunes");
  assertProblem(second, "job_running");

  const states: Job[] = [];
  for await (const job of collection.watchFineTune(id)) states.push(job);
  const last = states.at(-1)!;
  assert.equal(last.status, "promoted", last.reason);
  assert.equal(last.kind, "fine-tune");
  assert.equal(last.generation, 1);
  assert.ok((last.metrics?.improvement.low ?? 0) > 0, "the gate found an improvement");
  assert.ok(last.lossCurve.length > 0);
  assert.ok(
    states.some(({ status }) => status === "running"),
    "the states on the way were seen",
  );
  assert.deepEqual(await collection.fineTune(id), last);
  assert.deepEqual(
    (await collection.listFineTunes()).fineTunes.map((job) => job.id),
    [id],
  );

  const after = await precision();
  assert.ok(after > before + 0.3, `precision ${before} before, ${after} after`);
  assert.equal((await collection.query({ itemId: "i0" })).generation, 1);
  assert.equal((await collection.info()).status.feedback.sinceFineTune, 0);

  await collection.upsert([{ id: "late", vector: items[0]!.vector, payload: { class: 0 } }]);
  const generations = await collection.generations();
  assert.deepEqual(
    generations.map(({ generation, active, scope }) => [generation, active, scope]),
    [
      [0, false, null],
      [1, true, "head"],
    ],
  );
  assert.equal(generations[1]?.fineTune, id);

  const rollback = await server.send("POST", "/v1/collections/tuned/generations/0/activate");
  assert.equal(rollback.status, 202);
  const activation = await collection.waitForFineTune(rollback.json.id);
  assert.equal(activation.kind, "activation");
  assert.equal(activation.status, "promoted", activation.reason);
  assert.equal((await collection.query({ itemId: "i0" })).generation, 0);
  assert.equal(
    (await collection.query({ itemId: "late", k: 1 })).results[0]?.id,
    "i0",
    "what was written since is there",
  );
  await collection.deleteItem("late");
  assert.equal(await precision(), before, "the old generation answers as it did");
  assertProblem(await server.send("POST", `/v1/collections/tuned/fine-tunes/${id}/cancel`), "job_finished");
});

test("the model of a generation is a file for any reader of ONNX, with its size, name and entity tag", async () => {
  const answer = await server.send("GET", "/v1/collections/tuned/generations/1/model");
  assert.equal(answer.status, 200);
  assert.equal(answer.headers["content-type"], "application/octet-stream");
  assert.match(answer.headers["content-disposition"] ?? "", /filename="tuned-1-head\.onnx"/);
  const { stream, name, bytes, hash } = await collection.downloadModel(1);
  const file = Buffer.concat(await stream.toArray());
  assert.deepEqual([name, bytes, String(bytes)], ["tuned-1-head.onnx", file.length, answer.headers["content-length"]]);
  assert.equal(hash, createHash("sha256").update(file).digest("hex"));
  assert.equal((await collection.generations())[1]?.checksum, hash);
  const headers = { "if-none-match": `"${hash}"` };
  assert.equal((await server.send("GET", "/v1/collections/tuned/generations/1/model", { headers })).status, 304);

  const session = await InferenceSession.create(file);
  const row = Float32Array.from(items[0]!.vector);
  const { vector } = await session.run({ base: new Tensor("float32", row, [1, DIMENSIONS]) });
  assert.deepEqual(vector!.dims, [1, DIMENSIONS]);
  await session.release();

  assertProblem(await server.send("GET", "/v1/collections/tuned/generations/0/model"), "model_not_found");
  assertProblem(await server.send("GET", "/v1/collections/tuned/generations/99/model"), "generation_not_found");
});

test("a dry run reports and keeps nothing; what cannot be trained or resumed is refused", async () => {
  const { id } = await collection.startFineTune({ ...LEARN, loss: "auto", dryRun: true });
  const job = await collection.waitForFineTune(id);
  assert.deepEqual([job.status, job.generation], ["ready", undefined], job.reason);
  assert.ok((job.plan?.steps ?? 0) > 0 && (job.plan?.parameters ?? 0) > 0);
  assert.ok((job.tried?.length ?? 0) > 1);
  assert.ok(job.tried?.some(({ loss }) => loss === job.recipe?.loss));
  assert.equal((await collection.generations()).length, 2);
  assertProblem(await server.send("POST", `/v1/collections/tuned/fine-tunes/${id}/resume`), "job_not_resumable");
  assertProblem(await server.send("POST", "/v1/collections/tuned/fine-tunes/99/resume"), "fine_tune_not_found");
  const refused: [object, ErrorCode][] = [
    [{ scope: "encoder" }, "no_encoder"],
    [{ rank: 4 }, "invalid_setting"],
    [{ scope: "everything" }, "validation_failed"],
    [{ augmentation: { rotation: 181 } }, "validation_failed"],
    [{ warmup: 2 }, "validation_failed"],
    [{ targets: [] }, "validation_failed"],
    [{ learningRate: 0 }, "validation_failed"],
    [{ dryRun: 1 }, "validation_failed"],
  ];
  for (const [body, code] of refused) {
    assertProblem(await server.send("POST", "/v1/collections/tuned/fine-tunes", { body }), code);
  }
});

test("events are a stream of the job, and end with it", async () => {
  const { id } = await collection.startFineTune({ promote: "never", seed: 2 });
  const answer = await server.send("GET", `/v1/collections/tuned/fine-tunes/${id}/events`);
  assert.equal(answer.status, 200);
  assert.match(answer.headers["content-type"] ?? "", /^text\/event-stream/);
  assert.equal(answer.headers["cache-control"], "no-store");
  const events = answer.text.split("\n\n").filter((event) => event.startsWith("event: job\ndata: "));
  const jobs = events.map((event) => JSON.parse(event.slice("event: job\ndata: ".length)) as Job);
  assert.ok(jobs.length >= 2);
  assert.ok(["ready", "rejected"].includes(jobs.at(-1)?.status ?? ""), "judged, and never promoted");
  assert.deepEqual(await collection.fineTune(id), jobs.at(-1));
  const again = await server.send("GET", `/v1/collections/tuned/fine-tunes/${id}/events`);
  assert.equal(again.text.match(/event: job/g)?.length, 1, "of an ended job, its end");
});

test("a job can be cancelled, and a reader that leaves does not disturb it", async () => {
  const { id } = await collection.startFineTune({ epochs: 10_000, seed: 3 });
  for await (const job of collection.watchFineTune(id)) if (job.status === "running") break;
  const cancelled = await collection.cancelFineTune(id);
  assert.equal(cancelled.id, id);
  const last = await collection.waitForFineTune(id);
  assert.equal(last.status, "cancelled");
  assertProblem(await server.send("POST", `/v1/collections/tuned/fine-tunes/${id}/cancel`), "job_finished");
});

test("closing the server ends event streams, and the job is marked interrupted", async () => {
  const { id } = await collection.startFineTune({ epochs: 10_000, seed: 4 });
  const reading = server.send("GET", `/v1/collections/tuned/fine-tunes/${id}/events`);
  await delay(300);
  await server.restart();
  assert.equal((await reading).status, 200);
  collection = server.client.collection("tuned");
  assert.equal((await collection.fineTune(id)).status, "interrupted");
});

test("autoTune starts a fine-tune when enough feedback has come", async () => {
  const { collection: auto } = await server.client.createCollection("auto", {
    modality: "vector",
    dimensions: DIMENSIONS,
    autoTune: { minFeedback: 30, seed: 5, promote: "never" },
  });
  await auto.upsert(items);
  const early = await auto.submitFeedback({ triplets: triplets.slice(0, 20) });
  assert.equal(early.fineTune, undefined);
  const due = await auto.submitFeedback({ triplets: triplets.slice(20, 60) });
  assert.ok(due.fineTune !== undefined, "a fine-tune began");
  const job = await auto.waitForFineTune(due.fineTune.id);
  assert.ok(["ready", "rejected"].includes(job.status), `${job.status}: ${job.reason}`);
  assert.equal(job.options.seed, 5);
});

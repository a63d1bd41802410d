import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { InferenceSession } from "onnxruntime-node";
import { Random } from "../../src/vector/index.js";
import { classTexts, tinyEncoder } from "../collection/tuned-generation.js";
import { seedOf } from "../support/seed.js";
import { assertProblem, type ServerUnderTest, serve } from "./support.js";

const FINE_TUNES = "/v1/collections/texts/fine-tunes";
const folder = mkdtempSync(join(tmpdir(), "attune-encoders-"));

let server: ServerUnderTest;
before(async () => {
  server = await serve({ resumeFineTunes: false });
  const { collection } = await server.client.createCollection("texts", {
    modality: "text",
    encoder: tinyEncoder(folder, 4),
  });
  const texts = classTexts(new Random(seedOf("encoders over HTTP", 4)), 240);
  await collection.upsert(texts.map(({ id, text }) => ({ id, text })));
  const labels = texts.slice(0, 160).map(({ id, class: label }) => ({ item: id, label }));
  await collection.submitFeedback({ labels });
});
after(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

test("a fine-tune of an encoder that a stop cut off is resumed by a request, and its model can be downloaded", async () => {
  const body = { scope: "encoder", learningRate: 0.01, epochs: 60, batchSize: 32 };
  const { id } = (await server.send("POST", FINE_TUNES, { body })).json as { id: string };
  const watched = server.client.collection("texts").watchFineTune(id);
  for await (const { phase, progress } of watched) if (phase === "training" && progress.done > 0) break;
  await server.restart();
  const collection = server.client.collection("texts");
  const cutOff = await collection.fineTune(id);
  assert.deepEqual([cutOff.status, cutOff.resumable, cutOff.phase], ["interrupted", true, undefined]);

  const resumed = await server.send("POST", `${FINE_TUNES}/${id}/resume`);
  assert.deepEqual([resumed.status, resumed.json], [202, { id, status: "queued" }]);
  assert.equal(resumed.headers.location, `${FINE_TUNES}/${id}`);
  assertProblem(await server.send("POST", FINE_TUNES, { body }), "job_running");
  const job = await collection.waitForFineTune(id);
  assert.deepEqual([job.status, job.resumed, job.resumable], ["promoted", 1, undefined], job.reason);
  assertProblem(await server.send("POST", `${FINE_TUNES}/${id}/resume`), "job_not_resumable");

  const { stream, name } = await collection.downloadModel(1);
  assert.equal(name, "texts-1-encoder.onnx");
  const session = await InferenceSession.create(Buffer.concat(await stream.toArray()));
  assert.deepEqual(session.inputNames, ["input_ids", "attention_mask"]);
  await session.release();
  assertProblem(await server.send("POST", FINE_TUNES, { body: { scope: "head" } }), "invalid_setting");
});

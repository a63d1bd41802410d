import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Collection } from "../../src/collection/index.js";
import { code, jobFolders, LONG, labelledTexts, QUICK, restart, tune } from "./encoder-jobs.js";
import { ended, openDatabase, until } from "./support.js";

test("cut off by a stop, a job goes on where it was, to the very weights that it would have had", async (t) => {
  const { database, texts } = await labelledTexts(t);
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
  const { database, texts, folder, directory } = await labelledTexts(t);
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

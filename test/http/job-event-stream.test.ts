import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { Job, JobStatus } from "../../schemas/index.js";
import { JobEventStream } from "../../src/http/job-event-stream.js";

const job = (status: JobStatus, done = 0): Job => ({
  id: "1",
  kind: "fine-tune",
  status,
  progress: { done, total: 100, unit: "steps" },
  options: {},
  lossCurve: [],
  timings: {},
  createdAt: "2026-01-01T00:00:00.000Z",
});

/** A stream, what drives it, and whether it still watches. */
function watched(first: Job, heartbeatMs?: number) {
  const state = { watching: true, tell: (_: Job) => {} };
  const stream = new JobEventStream((listener) => {
    state.tell = listener;
    listener(first);
    return () => {
      state.watching = false;
    };
  }, heartbeatMs);
  return { stream, state };
}

async function text(stream: JobEventStream): Promise<string> {
  let all = "";
  for await (const chunk of stream) all += String(chunk);
  return all;
}

test("sends the present state at once, each change, and ends with the job", async () => {
  const { stream, state } = watched(job("queued"));
  const sent = text(stream);
  state.tell(job("running", 1));
  state.tell(job("promoted", 100));
  const events = (await sent).split("\n\n").filter((event) => event !== "");
  assert.deepEqual(events, [
    `event: job\ndata: ${JSON.stringify(job("queued"))}`,
    `event: job\ndata: ${JSON.stringify(job("running", 1))}`,
    `event: job\ndata: ${JSON.stringify(job("promoted", 100))}`,
  ]);
  await delay(0);
  assert.equal(state.watching, false, "it no longer watches");
});

test("a job that has ended already is sent once", async () => {
  const { stream } = watched(job("rejected"));
  assert.equal((await text(stream)).match(/event: job/g)?.length, 1);
});

test("a reader that goes away ends the watching", async () => {
  const { stream, state } = watched(job("running"));
  stream.destroy();
  await delay(0);
  assert.equal(state.watching, false);
  state.tell(job("promoted")); // must not throw
});

test("a slow reader misses states in between, and gets the last one", async () => {
  const { stream, state } = watched(job("running"));
  for (let done = 0; done < 5000; done++) state.tell(job("running", done));
  state.tell(job("promoted", 5000));
  const all = await text(stream);
  assert.ok((all.match(/event: job/g)?.length ?? 0) < 2000, "states were dropped, not gathered in memory");
  assert.match(all.trimEnd().split("\n\n").at(-1) ?? "", /"status":"promoted"/);
});

test("sends comments while nothing changes", async () => {
  const { stream } = watched(job("running"), 5);
  const sent = text(stream);
  await delay(30);
  stream.end();
  assert.match(await sent, /\n\n: heartbeat\n\n/);
});

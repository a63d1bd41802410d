import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { AttuneError, type ErrorCode } from "../../src/errors/index.js";
import { openWorkerSession } from "../../src/runtime/index.js";
import { slowModel, smallModel, tensor } from "./models.js";

const withCode = (code: ErrorCode) => (error: unknown) => error instanceof AttuneError && error.code === code;

/** Niceness of every thread of this process (field 19 of /proc/.../stat, counted after the name). */
function threadNiceness(): number[] {
  return readdirSync("/proc/self/task").map((thread) => {
    const fields = readFileSync(`/proc/self/task/${thread}/stat`, "utf8").split(") ").at(-1)!.split(" ");
    return Number(fields[16]);
  });
}

describe("a worker session", () => {
  it("computes what a session does", async () => {
    const session = await openWorkerSession(smallModel(), { provider: "cpu", threads: 1 });
    assert.deepEqual([session.provider, session.inputNames, session.outputNames], ["cpu", ["x"], ["y", "z"]]);
    const { y, z } = await session.run({ x: tensor([2, 3], (index) => index) });
    assert.deepEqual(y, { dtype: "float32", shape: [2, 2], data: Float32Array.of(3, 3, 12, 12) });
    assert.equal(z!.data[0], -3);
    assert.deepEqual(Object.keys(await session.run({ x: tensor([1, 3], () => 0) }, { outputs: ["z"] })), ["z"]);
    await session.close();
  });

  it("copies what it is fed, unless the memory is handed over", async () => {
    const session = await openWorkerSession(smallModel(), { provider: "cpu", threads: 1 });
    const x = tensor([1, 3], () => 1);
    await session.run({ x });
    assert.equal(x.data.length, 3);
    const { y } = await session.run({ x }, { transfer: true });
    assert.equal(x.data.length, 0);
    assert.equal(y!.data[0], 3);
    await session.close();
  });

  it("leaves the calling thread free while a run goes on", async () => {
    const size = 512;
    const session = await openWorkerSession(slowModel(size, 100), { provider: "cpu", threads: 1 });
    const x = tensor([size, size], (index) => index % 7);
    const started = performance.now();
    let ended = 0;
    const running = session.run({ x }).then((result) => {
      ended = performance.now();
      return result;
    });
    let turns = 0;
    while (ended === 0) {
      await sleep(5);
      turns++;
    }
    const { y } = await running;
    assert.deepEqual(y!.data, x.data);
    const milliseconds = ended - started;
    // A blocked thread would have made one turn.
    assert.ok(turns > milliseconds / 50, `${turns} turns in ${milliseconds} ms`);
    await session.close();
  });

  it("finishes every run it was asked for before it closes", async () => {
    const session = await openWorkerSession(slowModel(256, 20), { provider: "cpu", threads: 1 });
    const runs = [1, 2, 3].map((value) => session.run({ x: tensor([256, 256], () => value) }));
    await Promise.all([session.close(), session.close()]);
    assert.deepEqual(
      (await Promise.all(runs)).map(({ y }) => y!.data[0]),
      [1, 2, 3],
    );
    await assert.rejects(session.run({ x: tensor([256, 256], () => 0) }), withCode("internal"));
  });

  it("hands errors on with their code, and runs on", async () => {
    const session = await openWorkerSession(smallModel(), { provider: "cpu", threads: 1 });
    await assert.rejects(session.run({ x: tensor([2, 4], () => 0) }), withCode("invalid_model"));
    await assert.rejects(session.run({}), withCode("internal"));
    await assert.rejects(session.run({ x: { ...tensor([2, 3], () => 0), shape: [3, 3] } }), withCode("internal"));
    assert.equal((await session.run({ x: tensor([1, 3], () => 1) })).y!.data[0], 3);
    await session.close();
  });

  it("refuses what cannot be opened, leaving no thread behind", async () => {
    const absent = process.platform === "darwin" ? "dml" : "coreml";
    await assert.rejects(openWorkerSession(Buffer.from("no model"), { provider: "cpu" }), withCode("invalid_model"));
    await assert.rejects(openWorkerSession(smallModel(), { provider: absent }), withCode("provider_unavailable"));
    await assert.rejects(openWorkerSession(smallModel(), { niceness: 20 }), withCode("invalid_setting"));
    await assert.rejects(openWorkerSession(smallModel(), { threads: 0.5 }), withCode("invalid_setting"));
  });

  it("is nice in its own threads only", {
    skip: process.platform !== "linux" && "niceness of threads is Linux's",
  }, async () => {
    const own = threadNiceness();
    const session = await openWorkerSession(smallModel(), { provider: "cpu", threads: 2, niceness: 7 });
    await session.run({ x: tensor([64, 3], () => 1) });
    const raised = threadNiceness().filter((niceness) => niceness === 7);
    // The worker's own thread and the one it started for the session.
    assert.equal(raised.length, 2);
    assert.ok(own.every((niceness) => niceness !== 7));
    await session.close();
    assert.ok(threadNiceness().every((niceness) => niceness !== 7));
  });
});

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { getPriority } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { AttuneError } from "../../src/errors/index.js";
import { type FineTuneProgress, type FineTuneTask, runFineTune, spawnFineTune } from "../../src/training/index.js";
import { cleanUp } from "../support/clean-up.js";
import { seedOf } from "../support/seed.js";
import { temporaryDirectory } from "../support/temporary-directory.js";
import { World } from "./support.js";

function taskFile(t: TestContext, world: World, changes: Partial<FineTuneTask> = {}): string {
  const directory = temporaryDirectory(t);
  const task = world.task(directory, { triplets: world.triplets(60) }, changes);
  const path = join(directory, "task.json");
  writeFileSync(path, JSON.stringify(task));
  return path;
}

/** Tens of thousands of steps that early stopping does not cut short: the learning rate leads nowhere at first. */
const LONG = { options: { epochs: 100_000, learningRate: 1e-7 } };

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function untilGone(pid: number): Promise<void> {
  for (let tries = 0; tries < 100 && isAlive(pid); tries++) await sleep(100);
  assert.ok(!isAlive(pid), `process ${pid} is still there`);
}

test("the child gives the result that the same task gives in this process, with progress on the way", async (t) => {
  const world = new World(seedOf("child", 124));
  const options = { promote: "always" as const };
  const file = taskFile(t, world, { options, niceness: 5 });
  const seen: FineTuneProgress[] = [];
  let niceness: number | undefined;
  let child = -1;
  const result = await spawnFineTune(file, {
    onSpawn: (pid) => {
      child = pid;
    },
    onProgress: (progress) => {
      niceness ??= getPriority(child);
      seen.push(progress);
    },
  });
  assert.equal(niceness, 5);
  assert.deepEqual([...new Set(seen.map((progress) => progress.phase))], ["training", "evaluating", "reEmbedding"]);
  const task = JSON.parse(readFileSync(file, "utf8")) as FineTuneTask;
  const head = readFileSync(task.output.model);
  const here = await runFineTune(task);
  assert.deepEqual(result.metrics, here.metrics);
  assert.ok(head.equals(readFileSync(task.output.model)), "the same weights, bit for bit");
  await untilGone(child);
});

test("cancelled, the child stops by itself and the promise rejects with the signal's reason", async (t) => {
  const file = taskFile(t, new World(125), LONG);
  const controller = new AbortController();
  const reason = new Error("cancelled by a test");
  let child = -1;
  const running = spawnFineTune(file, {
    signal: controller.signal,
    onSpawn: (pid) => {
      child = pid;
    },
    onProgress: ({ done }) => done > 0 && controller.abort(reason),
  });
  await assert.rejects(running, (error) => error === reason);
  assert.ok(!isAlive(child), "it rejects only when the child has ended");
});

test("cancelled before it starts, nothing is started", async (t) => {
  const file = taskFile(t, new World(126));
  const onSpawn = () => assert.fail("a child was started");
  await assert.rejects(spawnFineTune(file, { signal: AbortSignal.abort(), onSpawn }), { name: "AbortError" });
});

test("a child that is killed is a failure that names the signal", async (t) => {
  const file = taskFile(t, new World(127), LONG);
  let child = -1;
  const running = spawnFineTune(file, {
    onSpawn: (pid) => {
      child = pid;
    },
    onProgress: ({ done }) => done > 0 && process.kill(child, "SIGKILL"),
  });
  await assert.rejects(
    running,
    (error: AttuneError) => error.code === "fine_tune_failed" && /SIGKILL/.test(error.message),
  );
});

test("a child that somebody else tells to stop is a failure too", async (t) => {
  const file = taskFile(t, new World(130), LONG);
  let child = -1;
  const running = spawnFineTune(file, {
    onSpawn: (pid) => {
      child = pid;
    },
    onProgress: ({ done }) => done > 0 && process.kill(child, "SIGTERM"),
  });
  await assert.rejects(
    running,
    (error: AttuneError) => error.code === "fine_tune_failed" && /SIGTERM/.test(error.message),
  );
});

test("a child whose parent is killed ends too", async (t) => {
  // Several recipes: one alone gives up after as many looks without a gain as take half a second on a fast machine.
  const file = taskFile(t, new World(128), { options: { ...LONG.options, loss: "auto" } });
  const script = fileURLToPath(new URL("./fine-tune-parent.js", import.meta.url));
  const parent = spawn(process.execPath, [script, file], { stdio: ["ignore", "pipe", "inherit"] });
  cleanUp(t, () => parent.kill("SIGKILL"));
  const [first] = (await new Promise<Buffer>((resolve) => parent.stdout.once("data", resolve))).toString().split("\n");
  const child = Number(first);
  await sleep(500);
  assert.ok(isAlive(child));
  parent.kill("SIGKILL");
  await untilGone(child);
});

test("a refusal in the child keeps its code and message", async (t) => {
  const world = new World(129);
  const directory = temporaryDirectory(t);
  const task = world.task(directory, { triplets: world.triplets(5) });
  writeFileSync(join(directory, "task.json"), JSON.stringify(task));
  await assert.rejects(
    spawnFineTune(join(directory, "task.json")),
    (error: AttuneError) => error.code === "not_enough_feedback" && /5 anchors/.test(error.message),
  );
  assert.ok(!existsSync(task.output.model));
});

test("a task file that is missing or no JSON is a clear failure", async (t) => {
  const directory = temporaryDirectory(t);
  const fails = (path: string, words: RegExp) =>
    assert.rejects(spawnFineTune(path), (e: AttuneError) => e.code === "fine_tune_failed" && words.test(e.message));
  await fails(join(directory, "nothing.json"), /ENOENT/);
  writeFileSync(join(directory, "bad.json"), "{");
  await fails(join(directory, "bad.json"), /JSON/);
});

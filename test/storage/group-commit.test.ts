import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Level } from "level";
import { type BatchWriter, GroupCommit } from "../../storage/group-commit.js";
import { type Operation, Storage } from "../../storage/index.js";
import { temporaryDirectory } from "../support/temporary-directory.js";

const put = (key: string, value = ""): Operation => ({ type: "put", key, value });

/** A real database, and a record of the batches that reach it. */
async function openSpied(directory: string) {
  const level = new Level<string, string>(join(directory, "level"));
  await level.open();
  const batches: { operations: Operation[]; sync: boolean }[] = [];
  const writer: BatchWriter = {
    batch(operations, options) {
      batches.push({ operations, sync: options.sync });
      return level.batch(operations, options as object);
    },
  };
  return { level, batches, writer };
}

test("writes of one turn go to disk as one batch, in order", async (t) => {
  const { level, batches, writer } = await openSpied(temporaryDirectory(t));
  t.after(() => level.close());
  const commits = new GroupCommit(writer, true);
  const order: number[] = [];
  await Promise.all(
    Array.from({ length: 50 }, (_, i) => commits.write([put("k", String(i)), put(`k${i}`)]).then(() => order.push(i))),
  );
  assert.equal(batches.length, 1);
  assert.equal(batches[0]?.operations.length, 100);
  assert.equal(batches[0]?.sync, true);
  assert.equal(await level.get("k"), "49", "the last call wins");
  assert.deepEqual(
    order,
    Array.from({ length: 50 }, (_, i) => i),
  );
});

test("who comes while a batch is being written stands in the next one", async (t) => {
  const { level, batches, writer } = await openSpied(temporaryDirectory(t));
  t.after(() => level.close());
  let during: Promise<void>[] = [];
  const commits = new GroupCommit(
    {
      batch(operations, options) {
        if (during.length === 0) during = [1, 2, 3].map((i) => commits.write([put(`later${i}`)]));
        return writer.batch(operations, options);
      },
    },
    false,
  );
  await commits.write([put("first")]);
  assert.equal(during.length, 3);
  await Promise.all(during);
  assert.deepEqual(
    batches.map(({ operations, sync }) => [operations.length, sync]),
    [
      [1, false],
      [3, false],
    ],
  );
});

test("a merged batch has a bounded size, but one caller's changes are never split", async (t) => {
  const { level, batches, writer } = await openSpied(temporaryDirectory(t));
  t.after(() => level.close());
  const commits = new GroupCommit(writer, false);
  const megabyte = "x".repeat(1 << 20);
  const large = Array.from({ length: 12 }, (_, i) => put(`large${i}`, megabyte));
  await Promise.all([...large.map((operation) => commits.write([operation])), commits.write(large)]);
  assert.deepEqual(
    batches.map(({ operations }) => operations.length),
    [8, 4 + 12],
  );
});

test("an exclusive task runs between batches, after what came before it", async (t) => {
  const { level, writer } = await openSpied(temporaryDirectory(t));
  t.after(() => level.close());
  const commits = new GroupCommit(writer, false);
  const seen: (string | undefined)[] = [];
  const task = async () => {
    seen.push(await level.get("k"));
  };
  await Promise.all([
    commits.write([put("k", "1")]),
    commits.exclusive(task),
    commits.write([put("k", "2")]),
    commits.exclusive(task),
  ]);
  assert.deepEqual(seen, ["1", "2"]);
  await assert.rejects(
    commits.exclusive(() => Promise.reject(new RangeError("its own"))),
    RangeError,
  );
  await commits.write([put("k", "3")]);
  assert.equal(await level.get("k"), "3");
});

test("a batch that Level cannot write rejects all its callers", async (t) => {
  const directory = temporaryDirectory(t);
  const storage = await Storage.open(directory);
  t.after(() => storage.close());
  await storage.write([put("c/u1/s/kept", "1")]);
  // Level's next log file has nowhere to go: a real failure, met when the log of 4 MiB is full.
  rmSync(join(directory, "level"), { recursive: true });
  const megabyte = "x".repeat(1 << 20);
  const results: PromiseSettledResult<void>[] = [];
  for (let i = 0; i < 20 && !results.some((result) => result.status === "rejected"); i++) {
    results.splice(
      0,
      results.length,
      ...(await Promise.allSettled([1, 2, 3].map((n) => storage.write([put(`c/u1/s/${i}-${n}`, megabyte)])))),
    );
  }
  assert.deepEqual(
    results.map((result) => result.status === "rejected" && (result.reason as { code: string }).code),
    ["write_failed", "write_failed", "write_failed"],
  );
});

test("after a write that failed half way nothing is acknowledged that a restart would lose", {
  skip: process.platform !== "linux" && "needs prlimit",
}, async (t) => {
  const directory = temporaryDirectory(t);
  const storage = await Storage.open(directory);
  t.after(() => storage.close());
  const limitFiles = (bytes: string) =>
    execFileSync("prlimit", ["--pid", String(process.pid), `--fsize=${bytes}:unlimited`]);
  const { state } = storage.collection("u1");
  await storage.write([state.put("before", 1)]);
  // A file that may not grow further fails as a full disk does, and the log keeps the part that still fitted.
  limitFiles("100000");
  try {
    await assert.rejects(storage.write([state.put("large", "x".repeat(300_000))]), { code: "write_failed" });
  } finally {
    limitFiles("unlimited");
  }
  const keys = Array.from({ length: 20 }, (_, i) => `after-${i}`);
  const results = await Promise.allSettled(keys.map((key) => storage.write([state.put(key, "y".repeat(1000))])));
  await assert.rejects(storage.collection("u1").clear(), { code: "write_failed" });
  await storage.close();
  const again = await Storage.open(directory);
  t.after(() => again.close());
  const stored = await again.collection("u1").state.getMany(["before", ...keys]);
  assert.equal(stored[0], 1);
  for (const [i, { status }] of results.entries()) assert.equal(status === "fulfilled", stored[i + 1] !== undefined);
  await again.write([again.collection("u1").state.put("free", true)]);
});

test("close waits for what was accepted and refuses the rest", async (t) => {
  const directory = temporaryDirectory(t);
  const storage = await Storage.open(directory);
  const { state } = storage.collection("u1");
  const accepted = storage.write([state.put("a", 1)]);
  const closed = storage.close();
  await assert.rejects(storage.write([state.put("b", 2)]), { code: "storage_closed" });
  await assert.rejects(storage.write([]), { code: "storage_closed" });
  await assert.rejects(storage.collection("u1").clear(), { code: "storage_closed" });
  await Promise.all([accepted, closed, storage.close()]);
  const again = await Storage.open(directory);
  assert.equal(await again.collection("u1").state.get("a"), 1);
  assert.equal(await again.collection("u1").state.get("b"), undefined);
  await again.write([]);
  await again.close();
});

import assert from "node:assert/strict";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import { Storage } from "../../storage/index.js";
import { temporaryDirectory } from "../support/temporary-directory.js";
import { kill, startChild } from "./child.js";

async function startHolder(t: TestContext, directory: string) {
  const child = startChild(t, "./lock-holder.js", [directory]);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return { child, said: String((await lines.next()).value) };
}

test("a directory open in another process is refused by name and pid, until that process is gone", async (t) => {
  const directory = temporaryDirectory(t);
  const { child, said } = await startHolder(t, directory);
  assert.equal(said, "open");
  await assert.rejects(Storage.open(directory), (error: { code: string; message: string }) => {
    assert.equal(error.code, "data_locked");
    assert.ok(error.message.includes(directory), error.message);
    assert.ok(error.message.includes(`process ${child.pid} on`), error.message);
    return true;
  });
  await kill(child);
  await (await Storage.open(directory)).close();
});

test("a second open in the same process is refused and leaves the lock in force", async (t) => {
  const directory = temporaryDirectory(t);
  const link = join(temporaryDirectory(t), "link");
  symlinkSync(directory, link);
  const storage = await Storage.open(directory);
  await assert.rejects(Storage.open(directory), { code: "data_locked", message: /this process/ });
  await assert.rejects(Storage.open(link), { code: "data_locked", message: /this process/ });
  const { said } = await startHolder(t, directory);
  assert.match(said, new RegExp(`^data_locked: .*process ${process.pid} on`));
  await storage.close();
  const again = await Storage.open(link);
  await again.close();
});

test("of two opens at once one wins", async (t) => {
  const directory = temporaryDirectory(t);
  const results = await Promise.allSettled([Storage.open(directory), Storage.open(directory)]);
  assert.deepEqual(results.map((result) => result.status).sort(), ["fulfilled", "rejected"]);
  for (const result of results) {
    if (result.status === "fulfilled") await result.value.close();
    else assert.equal((result.reason as { code: string }).code, "data_locked");
  }
});

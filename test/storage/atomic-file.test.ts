import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { writeFileAtomic } from "../../storage/index.js";
import { temporaryDirectory } from "../support/temporary-directory.js";

test("a file is replaced whole, with its directory made, and nothing left beside it", async (t) => {
  const path = join(temporaryDirectory(t), "a", "b", "file.json");
  await writeFileAtomic(path, "one");
  assert.equal(readFileSync(path, "utf8"), "one");
  await writeFileAtomic(path, Uint8Array.of(1, 2, 3));
  assert.deepEqual([...readFileSync(path)], [1, 2, 3]);
  assert.deepEqual(readdirSync(join(path, "..")), ["file.json"]);
});

test("writes at once to one path run in order", async (t) => {
  const path = join(temporaryDirectory(t), "file");
  await Promise.all(Array.from({ length: 20 }, (_, i) => writeFileAtomic(path, `${i}`.repeat(1000 * (20 - i)))));
  assert.equal(readFileSync(path, "utf8"), "19".repeat(1000));
});

test("what a crash left behind is overwritten, and a failed write keeps the old content", async (t) => {
  const directory = temporaryDirectory(t);
  const path = join(directory, "file");
  writeFileSync(`${path}.tmp`, "half of a long forgotten");
  await writeFileAtomic(path, "new");
  assert.equal(readFileSync(path, "utf8"), "new");
  assert.ok(!existsSync(`${path}.tmp`));
  mkdirSync(`${path}.tmp`);
  await assert.rejects(writeFileAtomic(path, "newer"));
  assert.equal(readFileSync(path, "utf8"), "new");
});

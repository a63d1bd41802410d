import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { linkFile } from "../../storage/index.js";

/** A folder in memory on Linux: another file system than the disk's, across which nothing can be linked. */
const ELSEWHERE = "/dev/shm";

for (const where of [tmpdir(), ELSEWHERE]) {
  test(`a file linked into ${where} outlives its first name, and takes the place of what was there`, (t) => {
    if (!existsSync(where)) return t.skip("there is no such folder here");
    const [here, there] = [mkdtempSync(join(tmpdir(), "attune-link-")), mkdtempSync(join(where, "attune-link-"))];
    t.after(() => {
      for (const folder of [here, there]) rmSync(folder, { recursive: true, force: true });
    });
    return check(join(here, "first"), join(there, "second"));
  });
}

async function check(first: string, second: string): Promise<void> {
  writeFileSync(first, "content");
  writeFileSync(second, "something else");
  await linkFile(first, second);
  await linkFile(first, second);
  rmSync(first);
  assert.equal(readFileSync(second, "utf8"), "content");
  await assert.rejects(linkFile(first, second), { code: "ENOENT" });
}

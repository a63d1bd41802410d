import assert from "node:assert/strict";
import { readdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Level } from "level";
import { assertLittleEndian } from "../../storage/endianness.js";
import { checkFormat, type Upgrade } from "../../storage/format-version.js";
import { FORMAT_VERSION, Storage } from "../../storage/index.js";
import type { Database } from "../../storage/level.js";
import { temporaryDirectory } from "../support/temporary-directory.js";

async function withLevel<T>(directory: string, work: (level: Level<string, string>) => Promise<T>): Promise<T> {
  const level = new Level<string, string>(join(directory, "level"));
  await level.open();
  try {
    return await work(level);
  } finally {
    await level.close();
  }
}

test("a new directory gets the current format version", async (t) => {
  const directory = join(temporaryDirectory(t), "a", "b");
  await (await Storage.open(directory)).close();
  assert.equal(await withLevel(directory, (level) => level.get("meta/format")), String(FORMAT_VERSION));
});

for (const [stored, message] of [
  ["2", /has format 2; this version reads up to 1/],
  ["one", /names its format "one"/],
  ["", /names its format ""/],
] as const) {
  test(`format version ${JSON.stringify(stored)} is refused, and the directory left as it was and free`, async (t) => {
    const directory = temporaryDirectory(t);
    await withLevel(directory, (level) => level.put("meta/format", stored));
    for (let i = 0; i < 2; i++) await assert.rejects(Storage.open(directory), { code: "data_version", message });
    assert.equal(await withLevel(directory, (level) => level.get("meta/format")), stored);
  });
}

test("records without a format version are refused", async (t) => {
  const directory = temporaryDirectory(t);
  await withLevel(directory, (level) => level.put("someone else's", "1"));
  await assert.rejects(Storage.open(directory), { code: "data_version", message: /someone else's/ });
});

test("upgrades run one after another from the version found, each with its version in one batch", async (t) => {
  const directory = temporaryDirectory(t);
  await withLevel(directory, async (level) => {
    await level.batch([
      { type: "put", key: "meta/format", value: "2" },
      { type: "put", key: "x", value: "two" },
    ]);
    const step =
      (name: string): Upgrade =>
      async (database) => [{ type: "put", key: "x", value: `${await database.get("x")}, ${name}` }];
    const log: string[] = [];
    const upgrades = [step("1 to 2"), step("2 to 3"), step("3 to 4")];
    await checkFormat(level as unknown as Database, (message) => log.push(message), upgrades);
    assert.equal(await level.get("x"), "two, 2 to 3, 3 to 4");
    assert.equal(await level.get("meta/format"), "4");
    assert.equal(log.length, 2);

    const failing: Upgrade = () => Promise.reject(new Error("no"));
    await assert.rejects(checkFormat(level as unknown as Database, () => {}, [...upgrades, step("4 to 5"), failing]));
    assert.equal(await level.get("meta/format"), "5", "the step before the failing one counts");
  });
});

test("a file where the directory should be is refused", async (t) => {
  const path = join(temporaryDirectory(t), "file");
  writeFileSync(path, "");
  await assert.rejects(Storage.open(path), { code: "data_directory", message: /file/ });
});

test("damaged Level files are refused as such", async (t) => {
  const directory = temporaryDirectory(t);
  await (await Storage.open(directory)).close();
  const level = join(directory, "level");
  for (const name of readdirSync(level)) if (name.startsWith("MANIFEST")) truncateSync(join(level, name), 10);
  await assert.rejects(Storage.open(directory), { code: "data_corrupt", message: /damaged/ });
});

test("a big-endian host is refused", () => {
  assert.throws(() => assertLittleEndian("BE"), { code: "unsupported_host" });
  assertLittleEndian("LE");
});

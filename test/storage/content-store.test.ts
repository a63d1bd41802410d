import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { Random } from "../../src/vector/random.js";
import { ContentStore, contentHash } from "../../storage/index.js";
import { seedOf } from "../support/seed.js";
import { temporaryDirectory } from "../support/temporary-directory.js";

const contentOf = (text: string) => ({ hash: contentHash(Buffer.from(text)), bytes: Buffer.from(text) });

/** The texts of all files, in order. */
function stored(directory: string): string[] {
  const root = join(directory, "content");
  if (!existsSync(root)) return [];
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((name) => statSync(join(root, name)).isFile())
    .map((name) => readFileSync(join(root, name), "utf8"))
    .sort();
}

test("content lies in a file named by its SHA-256, and the same content lies there once", async (t) => {
  const directory = temporaryDirectory(t);
  const store = new ContentStore(directory, "fsync");
  const { hash, bytes } = contentOf("a picture");
  assert.equal(hash, createHash("sha256").update("a picture").digest("hex"));
  await store.put([contentOf("a picture"), { hash, bytes }]);
  await store.put([{ hash, bytes }]);
  assert.equal(store.path(hash), join(directory, "content", hash.slice(0, 2), hash.slice(2)));
  assert.deepEqual(stored(directory), ["a picture"]);
  assert.deepEqual(await store.read(hash), bytes);
});

test("content sent again mends a file that was damaged or cut short", async (t) => {
  const directory = temporaryDirectory(t);
  const store = new ContentStore(directory, "fsync");
  const { hash } = contentOf("a picture");
  await store.put([contentOf("a picture")]);
  for (const damage of ["a pictuer", "\0".repeat(9), "a pic"]) {
    writeFileSync(store.path(hash), damage);
    await assert.rejects(store.read(hash), { code: "content_lost" });
    await store.put([contentOf("a picture")]);
    assert.equal(String(await store.read(hash)), "a picture");
  }
});

test("a file stays while anything refers to it, and goes with the last reference", async (t) => {
  const directory = temporaryDirectory(t);
  const store = new ContentStore(directory, "os");
  const { hash } = contentOf("shared");
  const letGo = await store.put([contentOf("shared")]);
  store.retain(hash);
  store.retain(hash);
  letGo();
  letGo();
  store.release(hash);
  await store.idle();
  assert.deepEqual(stored(directory), ["shared"]);
  store.release(hash);
  await store.idle();
  assert.deepEqual(stored(directory), []);
});

test("while somebody keeps everything, no file goes; afterwards those without a reference do", async (t) => {
  const directory = temporaryDirectory(t);
  const store = new ContentStore(directory, "os");
  const letGo = await store.put(["dropped", "dropped and back", "held"].map(contentOf));
  store.retain(contentOf("held").hash);
  const endings = [store.keep(), store.keep()];
  letGo();
  store.retain(contentOf("dropped and back").hash);
  endings[0]!();
  endings[0]!();
  await store.idle();
  assert.deepEqual(stored(directory), ["dropped", "dropped and back", "held"]);
  endings[1]!();
  await store.idle();
  assert.deepEqual(stored(directory), ["dropped and back", "held"]);
});

test("any order of writing, referring and letting go leaves exactly the files that are referred to", async (t) => {
  const random = new Random(seedOf("content", 3));
  const directory = temporaryDirectory(t);
  const store = new ContentStore(directory, "os");
  const model = new Map<string, number>();
  const count = (text: string, change: number) => {
    const left = (model.get(text) ?? 0) + change;
    if (left === 0) model.delete(text);
    else model.set(text, left);
  };
  const running: Promise<unknown>[] = [];
  for (let step = 0; step < 600; step++) {
    const text = `content ${random.integer(6)}`;
    if (random.integer(2) === 0 && model.has(text)) {
      count(text, -1);
      store.release(contentOf(text).hash);
    } else {
      count(text, 1);
      // Puts and removals of the same few contents are under way at the same time.
      running.push(
        store.put([contentOf(text)]).then((letGo) => {
          store.retain(contentOf(text).hash);
          letGo();
        }),
      );
      if (random.integer(3) === 0) await Promise.all(running.splice(0));
    }
    if (step % 100 !== 99) continue;
    await Promise.all(running.splice(0));
    await store.idle();
    assert.deepEqual(stored(directory), [...model.keys()].sort(), `after step ${step}`);
  }
});

test("a start removes files that no record names and writes that were cut short, and nothing else", async (t) => {
  const directory = temporaryDirectory(t);
  const before = new ContentStore(directory, "fsync");
  await before.put(["kept", "left over", "left over too"].map(contentOf));
  const kept = contentOf("kept");
  writeFileSync(`${before.path(kept.hash)}.tmp`, "half");
  mkdirSync(join(dirname(before.path(kept.hash)), "a folder"));
  writeFileSync(join(directory, "content", "a file"), "");

  const after = new ContentStore(directory, "fsync");
  after.retain(kept.hash);
  assert.equal(await after.collect(), 4);
  assert.deepEqual(
    stored(directory).filter((text) => text !== ""),
    ["kept"],
  );
  assert.equal(await new ContentStore(temporaryDirectory(t), "os").collect(), 0);
});

test("content that is missing or damaged is told by its file, and repaired by storing it again", async (t) => {
  const directory = temporaryDirectory(t);
  const store = new ContentStore(directory, "fsync");
  const content = contentOf("a long enough picture");
  const path = store.path(content.hash);
  await assert.rejects(store.read(content.hash), {
    code: "content_lost",
    message: new RegExp(`${content.hash.slice(2)} is missing`),
  });
  await store.put([content]);
  truncateSync(path, 5);
  await assert.rejects(store.read(content.hash), { code: "content_lost", message: /damaged/ });
  await store.put([content]);
  assert.deepEqual(await store.read(content.hash), content.bytes);
  writeFileSync(path, "A LONG ENOUGH PICTURE");
  await assert.rejects(store.read(content.hash), { code: "content_lost", message: /damaged/ });
});

test("what cannot be written is refused, and is no file that could be read", async (t) => {
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, "content"), "a file where the folder would be");
  const store = new ContentStore(directory, "fsync");
  await assert.rejects(store.put([contentOf("x")]), { code: "write_failed" });
  assert.equal(store.has(contentOf("x").hash), false);
  assert.throws(() => store.path("../../etc/passwd"), { code: "invalid_key" });
});

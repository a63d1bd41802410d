import assert from "node:assert/strict";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import * as storageRoom from "../../storage/index.js";
import { type CollectionRecord, diskUsage, Storage, VectorFile } from "../../storage/index.js";
import { temporaryDirectory } from "../support/temporary-directory.js";

function record(uid: string): CollectionRecord {
  const counts = { dimensions: 4, activeGeneration: 0, nextGeneration: 1, nextJob: 1 };
  return { uid, name: uid, createdAt: "2026-01-01T00:00:00.000Z", settings: {}, current: {}, ...counts };
}

test("what a crash in the middle of a delete leaves is found on open and can be cleared away", async (t) => {
  const directory = temporaryDirectory(t);
  let storage = await Storage.open(directory);
  assert.deepEqual(await storage.orphanCollections(), []);
  for (const uid of ["kept", "files-only", "keys-only", "both"]) {
    const operations = [storage.collections.put(uid, record(uid))];
    if (uid !== "files-only")
      operations.push(storage.collection(uid).state.put("x", 1), storage.collection(uid).jobs.put(1, {}));
    if (uid !== "keys-only") await (await VectorFile.open(join(storage.collectionDirectory(uid), "v.f32"), 4)).close();
    await storage.write(operations);
  }
  mkdirSync(join(directory, "collections", "Not ours"));
  writeFileSync(join(directory, "collections", "file"), "");
  assert.deepEqual(await storage.orphanCollections(), []);
  await storage.write(["files-only", "keys-only", "both"].map((name) => storage.collections.delete(name)));
  await storage.close();

  storage = await Storage.open(directory);
  t.after(() => storage.close());
  const orphans = await storage.orphanCollections();
  assert.deepEqual(orphans, ["both", "files-only", "keys-only"]);
  for (const uid of orphans) {
    await storage.collection(uid).clear();
    await storage.removeCollectionFiles(uid);
    assert.ok(!existsSync(storage.collectionDirectory(uid)));
  }
  assert.deepEqual(await storage.orphanCollections(), []);
  assert.equal(await storage.collection("kept").state.get("x"), 1);
  assert.ok(existsSync(join(storage.collectionDirectory("kept"), "v.f32")));
});

test("the bytes of a collection are those of its records and files, and of no other", async (t) => {
  const directory = temporaryDirectory(t);
  const storage = await Storage.open(directory, { durability: "os" });
  t.after(() => storage.close());
  // Random digits do not compress; 16 MiB pass through Level's log of 4 MiB into its table files.
  const text = () => Array.from({ length: 512 }, () => Math.random().toString(36).slice(2, 10)).join("");
  for (let n = 0; n < 64; n++) {
    const { items } = storage.collection("full");
    const values = Array.from({ length: 64 }, (_, i) => ({
      label: n * 64 + i,
      sequence: 1,
      contentSequence: 1,
      text: text(),
      payload: null,
    }));
    await storage.write(values.map((value) => items.put(String(value.label), value)));
  }
  const records = await storage.approximateBytes("full");
  assert.ok(records > 8e6 && records < 20e6, `${records}`);
  assert.equal(await storage.approximateBytes("empty"), 0);

  const file = await VectorFile.open(join(storage.collectionDirectory("empty"), "base-1", "v.f32"), 256);
  await file.write([0, 100_000], new Float32Array(512).fill(1));
  await file.sync();
  await file.close();
  const sparse = await storage.approximateBytes("empty");
  assert.ok(sparse >= 2048 && sparse < 100_000, `${sparse}: holes take no space`);

  await storage.collection("full").clear();
  const left = await diskUsage(join(directory, "level"));
  assert.ok(left < 6e6, `clear gives space back: ${left} left`);
});

test("paths are as FORMAT.md says, and no name leads out of the directory", () => {
  const {
    baseVectorsFile,
    collectionDirectory,
    contentDirectory,
    generationVectorsFile,
    headFile,
    indexDirectory,
    jobDirectory,
  } = storageRoom;
  const collection = collectionDirectory("/data", "u1");
  assert.equal(collection, join("/data", "collections", "u1"));
  assert.equal(contentDirectory(collection), join(collection, "content"));
  assert.equal(baseVectorsFile(collection, 1), join(collection, "base-1", "vectors.f32"));
  assert.equal(headFile(collection, 2), join(collection, "generations", "2", "head.onnx"));
  assert.equal(generationVectorsFile(collection, 2), join(collection, "generations", "2", "vectors.f32"));
  assert.equal(indexDirectory(collection, 2), join(collection, "generations", "2", "index"));
  assert.equal(jobDirectory(collection, 3), join(collection, "jobs", "3"));
  const bad = { code: "invalid_key" };
  assert.throws(() => baseVectorsFile(collection, "../x"), bad);
  assert.throws(() => baseVectorsFile(collection, ""), bad);
  assert.throws(() => jobDirectory(collection, -1), bad);
  assert.throws(() => headFile(collection, 1.5), bad);
});

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import type { StoredGeneration, StoredJob } from "../../src/collection/collection-state.js";
import { ItemInputs } from "../../src/collection/generations/item-inputs.js";
import { ItemTable } from "../../src/collection/items/item-table.js";
import { ContentStore, contentHash, Storage } from "../../storage/index.js";
import { temporaryDirectory } from "../support/temporary-directory.js";

const MIB = 1024 * 1024;

test("images are read in parts of some 16 MiB, each once, and what is gone is left out", async (t) => {
  const storage = await Storage.open(temporaryDirectory(t), { durability: "os" });
  t.after(() => storage.close());
  const tables = storage.collection<StoredJob, StoredGeneration>("uid");
  const content = new ContentStore(storage.collectionDirectory("uid"), "os");
  const table = new ItemTable();
  const sizes = [7, 7, 7, 40, 1, 1, 1, 1];
  const images = sizes.map((size) => randomBytes(size * MIB));
  await content.put(images.map((bytes) => ({ hash: contentHash(bytes), bytes })));
  for (const [label, bytes] of images.entries()) {
    const image = { hash: contentHash(bytes), type: "image/png" };
    const sequence = label + 1;
    table.set(`i${label}`, label, sequence, false);
    await storage.write([
      tables.items.put(`i${label}`, { label, sequence, contentSequence: sequence, image, payload: null }),
    ]);
  }
  table.remove("i4");
  // Replaced in Level, and not yet in the table.
  await storage.write([
    tables.items.put("i5", { label: 9, sequence: 9, contentSequence: 9, text: "other", payload: null }),
  ]);
  const parts: number[][] = [];
  for await (const part of new ItemInputs(tables, table, content).of([...sizes.keys()])) {
    parts.push(part.labels);
    part.contents.forEach((input, i) => {
      assert.ok(images[part.labels[i]!]!.equals(input as Uint8Array));
    });
  }
  assert.deepEqual(parts, [[0, 1, 2], [3], [6, 7]]);
});

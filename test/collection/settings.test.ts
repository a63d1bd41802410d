import assert from "node:assert/strict";
import { test } from "node:test";
import { Storage } from "../../storage/index.js";
import { openDatabase } from "./support.js";

test("a collection that was made before there were shards has one, and is found by the request that made it", async (t) => {
  const created = { modality: "vector", dimensions: 2, index: { m: 8 } } as const;
  const database = await openDatabase(t);
  const { directory } = database;
  await database.createCollection("old", created);
  await database.collection("old").upsert([{ id: "a", vector: [1, 0] }]);
  await database.close();

  const storage = await Storage.open(directory, { durability: "os" });
  const record = (await storage.collections.get("old"))!;
  const index = { m: 8, efConstruction: 200, efSearch: 64 };
  const asItWas = { ...record, settings: { ...record.settings, index }, current: { ...record.current, index } };
  await storage.write([storage.collections.put("old", asItWas)]);
  await storage.close();

  const again = await openDatabase(t, { directory });
  const { info } = await again.createCollection("old", created);
  assert.deepEqual(info.index, { ...index, shards: 1 });
  assert.deepEqual([info.status.index.points, info.status.index.lag], [1, 0]);
  await assert.rejects(
    again.createCollection("old", { ...created, index: { m: 8, shards: 2 } }),
    (error: { code?: string }) => error.code === "collection_exists",
  );
  const patched = await again.collection("old").patch({ index: { efSearch: 90 } });
  assert.deepEqual(patched.index, { ...index, efSearch: 90, shards: 1 });
});

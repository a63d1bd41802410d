import assert from "node:assert/strict";
import { test } from "node:test";
import { openExactIndex, ReplaceableIndex } from "../../src/index/index.js";
import { Random } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";
import { Clusters, code, RowModel, uint32 } from "./support.js";

test("an index is replaced while it is searched, and each search ends where it began", async () => {
  const clusters = new Clusters(new Random(seedOf("replaceable", 1)), 8);
  const [first, second] = [new RowModel(8, "cosine"), new RowModel(8, "cosine")];
  for (const model of [first, second]) for (let label = 0; label < 2000; label++) model.write(label, clusters.row());
  const open = (model: RowModel) => openExactIndex({ rows: model.source, metric: "cosine", live: model.liveRows() });
  const old = await open(first);
  const index = new ReplaceableIndex(old);
  const query = clusters.row();
  const early = Array.from({ length: 5 }, () => index.search(query, 1, { k: 10 }));
  let closed = false;
  const replaced = index.replace(await open(second)).then(() => {
    closed = true;
  });
  const late = index.search(query, 1, { k: 10 });
  await early[0];
  assert.equal(closed, false);
  for (const search of early) assert.equal(first.check((await search)[0]!, query, 10), 1);
  assert.equal(second.check((await late)[0]!, query, 10), 1);
  await replaced;
  await assert.rejects(old.status(), code("shutting_down"));

  second.write(2000, query);
  await index.add(uint32(2000));
  assert.equal((await index.search(query, 1, { k: 1 }))[0]!.labels[0], 2000);
  await index.remove(uint32(2000));
  await index.drain();
  assert.equal((await index.status()).points, 2000);
  assert.equal((await index.rebuild()).points, 2000);
  await index.snapshot(1);
  index.setEfSearch(10);
  await index.close();
  await assert.rejects(index.status(), code("shutting_down"));
});

test("an index that nobody is in is closed at once when it is replaced", async () => {
  const model = new RowModel(4, "euclidean");
  const open = () => openExactIndex({ rows: model.source, metric: "euclidean", live: model.liveRows() });
  const old = await open();
  const index = new ReplaceableIndex(old);
  await index.replace(await open());
  await assert.rejects(old.status(), code("shutting_down"));
  await index.close();
});

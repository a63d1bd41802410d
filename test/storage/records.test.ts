import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../../src/vector/random.js";
import { type CollectionRecord, type FeedbackRecord, Storage } from "../../storage/index.js";
import { collectionCodec } from "../../storage/records/collection.js";
import { feedbackCodec } from "../../storage/records/feedback.js";
import { itemCodec } from "../../storage/records/item.js";
import { jobCodec } from "../../storage/records/job.js";
import { seedOf } from "../support/seed.js";
import { temporaryDirectory } from "../support/temporary-directory.js";
import { randomItem, randomJson, randomObject, randomText } from "./random-records.js";

const collection: CollectionRecord = {
  uid: "u1",
  name: "books",
  createdAt: "2026-01-01T00:00:00.000Z",
  settings: { modality: "text" },
  current: { modality: "text", efSearch: 80 },
  dimensions: 512,
  activeGeneration: 0,
  nextGeneration: 1,
  nextJob: 1,
};
const feedback: FeedbackRecord = { kind: "pair", body: { a: "x" }, createdAt: "2026-01-01T00:00:00.000Z", sequence: 3 };

test("records of random content come back as they were, from a real database", async (t) => {
  const random = new Random(seedOf("records", 7));
  const storage = await Storage.open(temporaryDirectory(t));
  t.after(() => storage.close());
  const tables = storage.collection("u1");
  for (let i = 0; i < 200; i++) {
    const item = randomItem(random);
    const state = randomJson(random, 3);
    const job = randomObject(random, 3);
    const said: FeedbackRecord = { ...feedback, body: randomObject(random, 2), stale: random.integer(2) === 1 };
    const made: CollectionRecord = { ...collection, name: randomText(random, 8), encoder: randomObject(random, 2) };
    await storage.write([
      tables.items.put("it", item),
      tables.state.put("st", state),
      tables.jobs.put(1, job),
      tables.generations.put(0, job),
      tables.feedback.put("1", said),
      storage.collections.put("c", made),
    ]);
    assert.deepEqual(await tables.items.get("it"), item);
    assert.deepEqual(tables.items.getSync("it"), item);
    assert.deepEqual(await tables.state.get("st"), state);
    assert.deepEqual(await tables.jobs.get(1), job);
    assert.deepEqual(await tables.generations.get(0), job);
    assert.deepEqual(await tables.feedback.get("1"), said);
    assert.deepEqual(await storage.collections.get("c"), made);
  }
});

const HASH = "0123456789abcdef".repeat(4);

test("the record of an image names its content, and a text item's record is what it always was", () => {
  const item = { label: 7, sequence: 2, contentSequence: 1, payload: null };
  const image = { ...item, image: { hash: HASH, type: "image/webp" } };
  const stored = itemCodec.encode(image);
  assert.equal(stored, `[2,7,2,1,["${HASH}","image/webp"],null]`);
  assert.deepEqual(itemCodec.decode(stored, "k"), image);
  assert.equal(itemCodec.encode({ ...item, text: "words" }), '[1,7,2,1,"words",null]');
  assert.equal(itemCodec.encode(item), "[1,7,2,1,null,null]");
});

test("what does not fit a record is refused before it is written", () => {
  const item = { label: 0, sequence: 0, contentSequence: 0, payload: null };
  const bad: unknown[] = [
    { ...item, label: 2 ** 32 },
    { ...item, label: -1 },
    { ...item, label: 1.5 },
    { ...item, sequence: Number.NaN },
    { ...item, contentSequence: undefined },
    { ...item, text: 5 },
    { ...item, image: { hash: "abc", type: "image/png" } },
    { ...item, image: { hash: HASH } },
    { ...item, text: "both", image: { hash: HASH, type: "image/png" } },
    { ...item, payload: [] },
    { ...item, payload: undefined },
    { ...item, payload: { big: 1n } },
  ];
  for (const value of bad) assert.throws(() => itemCodec.encode(value as never), { code: "invalid_record" });
  assert.doesNotThrow(() => itemCodec.encode({ ...item, label: 2 ** 32 - 1, sequence: 2 ** 53 - 1 }));

  for (const change of [
    { uid: 1 },
    { name: undefined },
    { settings: [] },
    { current: null },
    { dimensions: 0 },
    { nextJob: -1 },
    { encoder: "x" },
  ]) {
    assert.throws(() => collectionCodec.encode({ ...collection, ...change } as never), { code: "invalid_record" });
  }
  for (const change of [{ kind: "opinion" }, { body: "x" }, { createdAt: 5 }, { sequence: -1 }]) {
    assert.throws(() => feedbackCodec.encode({ ...feedback, ...change } as never), { code: "invalid_record" });
  }
  assert.throws(() => jobCodec().encode([] as never), { code: "invalid_record" });
});

test("a state value that JSON does not have is refused", async (t) => {
  const storage = await Storage.open(temporaryDirectory(t));
  t.after(() => storage.close());
  assert.throws(() => storage.collection("u1").state.put("x", undefined), { code: "invalid_record" });
});

const DAMAGED: [string, string][] = [
  ["i/a", "not JSON"],
  ["i/a", "{}"],
  ["i/a", "[1,2,3]"],
  ["i/a", '[2,0,0,0,"text",null]'],
  ["i/a", '[3,0,0,0,"text",null]'],
  ["i/a", '[2,0,0,0,["no hash","image/png"],null]'],
  ["i/a", "[2,0,0,0,null,null]"],
  ["i/a", '[1,-1,0,0,"text",null]'],
  ["i/a", '[1,0,0,0,"text",[]]'],
  ["f/a1", '[1,{"kind":"pair"}]'],
  ["f/a1", "[7,{}]"],
  ["j/a1", "[1]"],
  ["g/a1", "[1,5]"],
  ["s/a", "{"],
];

for (const [key, stored] of DAMAGED) {
  test(`the damaged record ${stored} is refused by its key ${key}, however it is read`, async (t) => {
    const storage = await Storage.open(temporaryDirectory(t));
    t.after(() => storage.close());
    const full = `c/u1/${key}`;
    await storage.write([{ type: "put", key: full, value: stored }]);
    const tables = storage.collection("u1");
    const [table, id] = {
      i: [tables.items, "a"],
      f: [tables.feedback, "1"],
      j: [tables.jobs, 1],
      g: [tables.generations, 1],
      s: [tables.state, "a"],
    }[key[0] as "i"] as [typeof tables.items, string];
    const expected = { code: "corrupt_record", message: new RegExp(full) };
    await assert.rejects(table.get(id), expected);
    assert.throws(() => table.getSync(id), expected);
    await assert.rejects(table.getMany([id]), expected);
    await assert.rejects(
      table.scan(() => {}),
      expected,
    );
    await assert.rejects(table.entries()[Symbol.asyncIterator]().next(), expected);
  });
}

import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../../src/vector/random.js";
import { type ItemRecord, Storage } from "../../storage/index.js";
import { seedOf } from "../support/seed.js";
import { temporaryDirectory } from "../support/temporary-directory.js";
import { randomText } from "./random-records.js";

const item = (label: number): ItemRecord => ({ label, sequence: 0, contentSequence: 0, payload: null });

async function collect<K, V>(entries: AsyncIterable<[K, V]>): Promise<K[]> {
  const keys: K[] = [];
  for await (const [key] of entries) keys.push(key);
  return keys;
}

test("ids come in the order of their UTF-8 bytes, and pages meet without gap or repeat", async (t) => {
  const random = new Random(seedOf("order", 11));
  const storage = await Storage.open(temporaryDirectory(t));
  t.after(() => storage.close());
  const { items } = storage.collection("u1");
  const ids = [...new Set(Array.from({ length: 1500 }, () => randomText(random, 6)))];
  const expected = [...ids].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  await storage.write(ids.map((id, i) => items.put(id, item(i))));

  assert.deepEqual(await collect(items.entries()), expected);
  assert.deepEqual(await collect(items.entries({ reverse: true })), expected.toReversed());
  const scanned: string[] = [];
  await items.scan((id) => scanned.push(id));
  assert.deepEqual(scanned, expected);
  for (const reverse of [false, true]) {
    const paged: string[] = [];
    for (let page: string[] = []; ; paged.push(...page)) {
      page = await collect(items.entries({ after: paged.at(-1), limit: 37, reverse }));
      assert.ok(page.length <= 37);
      if (page.length === 0) break;
    }
    assert.deepEqual(paged, reverse ? expected.toReversed() : expected);
  }
  // `after` need not exist.
  const between = randomText(random, 6);
  const later = expected.filter((id) => Buffer.compare(Buffer.from(id), Buffer.from(between)) > 0);
  assert.deepEqual(await collect(items.entries({ after: between })), later);
  assert.deepEqual(await collect(items.entries({ limit: 0 })), []);
  assert.deepEqual(
    (await items.getMany([...ids, "not there"])).map((record) => record?.label),
    [...ids.map((_, i) => i), undefined],
  );
});

test("no id and no name reaches another table or collection", async (t) => {
  const storage = await Storage.open(temporaryDirectory(t));
  t.after(() => storage.close());
  const uids = ["a", "a-", "a0", "a_b", "b", "i"];
  const ids = ["/", "i/x", "../b/i/x", "a/i/x", "0", "%2F", "%", "😀", "\u{10ffff}", ".", "c/b/i/x", "\u0000"];
  const names = ["/", "0", "a", "😀"];
  for (const [n, uid] of uids.entries()) {
    const { items, state, jobs, feedback } = storage.collection(uid);
    await storage.write(ids.flatMap((id, i) => [items.put(id, item(n * 100 + i)), state.put(id, [uid, id])]));
    await storage.write([
      jobs.put(n, { uid }),
      feedback.put(String(n), { kind: "label", body: {}, createdAt: uid, sequence: n }),
    ]);
  }
  const record = {
    uid: "a",
    createdAt: "",
    settings: {},
    current: {},
    dimensions: 1,
    activeGeneration: 0,
    nextGeneration: 1,
    nextJob: 1,
  };
  await storage.write(names.map((name) => storage.collections.put(name, { ...record, name })));

  const check = async (left: string[]) => {
    for (const [n, uid] of uids.entries()) {
      const { items, state, jobs, feedback } = storage.collection(uid);
      const there = left.includes(uid);
      const found = await items.getMany(ids);
      assert.deepEqual(
        found.map((each) => each?.label),
        ids.map((_, i) => (there ? n * 100 + i : undefined)),
      );
      assert.equal((await collect(items.entries())).length, there ? ids.length : 0);
      assert.equal((await collect(state.entries())).length, there ? ids.length : 0);
      assert.deepEqual(await state.get("i/x"), there ? [uid, "i/x"] : undefined);
      assert.deepEqual(await collect(jobs.entries()), there ? [n] : []);
      assert.deepEqual(await collect(feedback.entries()), there ? [String(n)] : []);
    }
    assert.deepEqual(new Set(await collect(storage.collections.entries())), new Set(names));
  };
  await check(uids);
  await storage.collection("a").clear();
  await check(uids.slice(1));
  await storage.collection("b").clear();
  await check(["a-", "a0", "a_b", "i"]);
  assert.deepEqual(await storage.orphanCollections(), ["a-", "a0", "a_b", "i"]);
});

test("numbers and decimal strings come in numeric order and as they were put", async (t) => {
  const random = new Random(seedOf("numbers", 3));
  const storage = await Storage.open(temporaryDirectory(t));
  t.after(() => storage.close());
  const { jobs, feedback } = storage.collection("u1");
  const numbers = [
    ...new Set([
      0,
      1,
      9,
      10,
      99,
      100,
      2 ** 32,
      2 ** 53 - 1,
      ...Array.from({ length: 300 }, () => random.integer(10 ** (1 + random.integer(9)))),
    ]),
  ];
  const sorted = [...numbers].sort((a, b) => a - b);
  const said = { kind: "pair", body: {}, createdAt: "", sequence: 0 } as const;
  await storage.write(numbers.flatMap((n) => [jobs.put(n, { n }), feedback.put(String(n), said)]));
  assert.deepEqual(await collect(jobs.entries()), sorted);
  assert.deepEqual(await collect(feedback.entries()), sorted.map(String));
  const below10 = sorted.filter((n) => n < 10).toReversed();
  assert.deepEqual(await collect(jobs.entries({ after: 10, limit: 3, reverse: true })), below10.slice(0, 3));
  assert.deepEqual(await feedback.get("10"), said);
});

test("keys that cannot be keys are refused", async (t) => {
  const storage = await Storage.open(temporaryDirectory(t));
  t.after(() => storage.close());
  const { items, feedback, jobs } = storage.collection("u1");
  const bad = { code: "invalid_key" };
  for (const id of ["", "a".repeat(257), "😀".repeat(257), "\ud800", "a\udc00b", 5 as never]) {
    assert.throws(() => items.put(id, item(0)), bad);
    assert.throws(() => items.delete(id), bad);
    await assert.rejects(items.get(id), bad);
  }
  for (const id of ["a".repeat(256), "😀".repeat(256), "中%/".repeat(85)]) {
    await storage.write([items.put(id, item(1))]);
    assert.equal((await items.get(id))?.label, 1);
  }
  for (const id of ["", "x", "-1", "1e3", "12345678901234567", 1 as never])
    assert.throws(() => feedback.delete(id), bad);
  for (const n of [-1, 0.5, Number.NaN, 2 ** 53, "1" as never]) assert.throws(() => jobs.delete(n), bad);
  for (const uid of ["", "A", "a/b", "..", ".", "a".repeat(65), "a.b", "-a"]) {
    assert.throws(() => storage.collection(uid), bad);
    assert.throws(() => storage.collectionDirectory(uid), bad);
  }
});

test("an iteration sees the table as it was when it began, and may be left early", async (t) => {
  const storage = await Storage.open(temporaryDirectory(t));
  t.after(() => storage.close());
  const { items } = storage.collection("u1");
  const ids = Array.from({ length: 1000 }, (_, i) => String(i).padStart(4, "0"));
  await storage.write(ids.map((id, i) => items.put(id, item(i))));
  const seen: string[] = [];
  for await (const [id] of items.entries()) {
    if (seen.length === 0) await storage.write([...ids.map((each) => items.delete(each)), items.put("0500a", item(0))]);
    seen.push(id);
  }
  assert.deepEqual(seen, ids);
  assert.deepEqual(await collect(items.entries()), ["0500a"]);
  for await (const _ of items.entries()) break;
  await assert.rejects(
    items.scan(() => {
      throw new RangeError("the visitor's own");
    }),
    RangeError,
  );
});

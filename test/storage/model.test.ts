import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../../src/vector/random.js";
import { type ItemRecord, type Operation, Storage } from "../../storage/index.js";
import { seedOf } from "../support/seed.js";
import { temporaryDirectory } from "../support/temporary-directory.js";
import { randomItem, randomText } from "./random-records.js";

const UIDS = ["a", "a-b", "b"];
type Model = Map<string, Map<string, ItemRecord>>;

const byBytes = ([a]: [string, unknown], [b]: [string, unknown]) => Buffer.compare(Buffer.from(a), Buffer.from(b));

async function checkAll(storage: Storage, model: Model): Promise<void> {
  for (const [uid, expected] of model) {
    const found: [string, ItemRecord][] = [];
    await storage.collection(uid).items.scan((id, record) => found.push([id, record]));
    assert.deepEqual(found, [...expected].sort(byBytes));
  }
}

function randomWrite(random: Random, storage: Storage, model: Model, ids: string[]): Operation[] {
  return Array.from({ length: 1 + random.integer(20) }, () => {
    const uid = UIDS[random.integer(UIDS.length)] ?? "a";
    const id = ids[random.integer(ids.length)] ?? "x";
    const { items } = storage.collection(uid);
    if (random.integer(3) === 0) {
      model.get(uid)?.delete(id);
      return items.delete(id);
    }
    const record = randomItem(random);
    model.get(uid)?.set(id, record);
    return items.put(id, record);
  });
}

test("random writes, clears and restarts agree with plain maps", async (t) => {
  const random = new Random(seedOf("storage model", 42));
  const directory = temporaryDirectory(t);
  const ids = Array.from({ length: 120 }, () => randomText(random, 5));
  const model: Model = new Map(UIDS.map((uid) => [uid, new Map()]));
  let storage = await Storage.open(directory, { durability: "os" });
  t.after(() => storage.close());
  const pending: Promise<void>[] = [];
  for (let step = 0; step < 600; step++) {
    const choice = random.integer(100);
    if (choice < 80) {
      pending.push(storage.write(randomWrite(random, storage, model, ids)));
    } else if (choice < 82) {
      const uid = UIDS[random.integer(UIDS.length)] ?? "a";
      model.get(uid)?.clear();
      // Not awaited before the next writes: the order of calls decides.
      pending.push(storage.collection(uid).clear());
    } else if (choice < 96) {
      await Promise.all(pending.splice(0));
      const uid = UIDS[random.integer(UIDS.length)] ?? "a";
      const some = random.shuffle([...ids]).slice(0, 15);
      const found = await storage.collection(uid).items.getMany(some);
      assert.deepEqual(
        found,
        some.map((id) => model.get(uid)?.get(id)),
        `step ${step}`,
      );
    } else {
      await Promise.all(pending.splice(0));
      await storage.close();
      storage = await Storage.open(directory, { durability: "os" });
      await checkAll(storage, model);
    }
  }
  await Promise.all(pending);
  await checkAll(storage, model);
});

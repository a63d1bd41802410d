import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { Random } from "../../src/vector/random.js";
import { diskUsage, type ItemRecord, Storage } from "../../storage/index.js";
import { seedOf } from "../support/seed.js";
import { temporaryDirectory } from "../support/temporary-directory.js";

/** The disk usage once it no longer changes: a compaction under way holds old and new tables at once. */
async function settledUsage(directory: string): Promise<number> {
  for (let last = -1; ; await setTimeout(60)) {
    const now = await diskUsage(directory);
    if (now === last) return now;
    last = now;
  }
}

test("ten rounds of replacing 10,000 items leave at most three times the disk of the first", async (t) => {
  const random = new Random(seedOf("disk reclaim", 1));
  const directory = temporaryDirectory(t);
  const storage = await Storage.open(directory, { durability: "os" });
  t.after(() => storage.close());
  const { items } = storage.collection("u1");
  const words = Array.from({ length: 2000 }, () => random.uint32().toString(36));
  const text = () => Array.from({ length: 12 }, () => words[random.integer(words.length)]).join(" ");
  const sizes: number[] = [];
  let sequence = 0;
  for (let round = 0; round < 10; round++) {
    for (let first = 0; first < 10_000; first += 500) {
      const operations = Array.from({ length: 500 }, (_, i) => {
        sequence++;
        const record: ItemRecord = {
          label: first + i,
          sequence,
          contentSequence: sequence,
          text: text(),
          payload: { intent: text() },
        };
        return items.put(`item-${first + i}`, record);
      });
      await storage.write(operations);
    }
    sizes.push(await settledUsage(join(directory, "level")));
  }
  t.diagnostic(`MB after each round: ${sizes.map((size) => (size / 1e6).toFixed(1)).join(", ")}`);
  assert.ok(Math.max(...sizes.slice(1)) <= 3 * sizes[0]!, "the disk grew more than threefold");
});

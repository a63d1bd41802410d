import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import { baseVectorsFile, Storage, VectorFile } from "../../storage/index.js";
import { temporaryDirectory } from "../support/temporary-directory.js";
import { kill, startChild } from "./child.js";
import { crashItem, crashRow, DIMENSIONS } from "./crash-item.js";

/** Lets a child write until it has acknowledged `count` items, kills it in the middle, and returns what it acknowledged. */
async function writeAndKill(t: TestContext, directory: string, first: number, count: number): Promise<number[]> {
  const child = startChild(t, "./crash-writer.js", [directory, String(first)]);
  const acknowledged: number[] = [];
  let killed: Promise<void> | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    acknowledged.push(Number(line));
    if (acknowledged.length >= count) killed ??= kill(child);
  }
  await killed;
  return acknowledged;
}

test("after kill -9 every acknowledged item is there, with its row", async (t) => {
  const directory = temporaryDirectory(t);
  const acknowledged: number[] = [];
  for (let round = 0; round < 3; round++) {
    const first = round * 1_000_000;
    acknowledged.push(...(await writeAndKill(t, directory, first, 200 + round * 350)));

    const log: string[] = [];
    const storage = await Storage.open(directory, { log: (message) => log.push(message) });
    assert.match(log.join("\n"), /was not closed by process \d+/);
    const { items } = storage.collection("crash");
    const vectors = await VectorFile.open(baseVectorsFile(storage.collectionDirectory("crash"), 1), DIMENSIONS);
    const records = await items.getMany(acknowledged.map((label) => `item ${label}`));
    assert.deepEqual(records, acknowledged.map(crashItem));
    assert.deepEqual(await vectors.read(acknowledged), Float32Array.from(acknowledged.flatMap(crashRow)));

    // Batches are whole: of three items written together either all are there or none.
    const labels = new Set<number>();
    await items.scan((_id, { label }) => labels.add(label));
    for (const label of labels) {
      const batch = label - ((label % 1_000_000) % 3);
      assert.ok(labels.has(batch) && labels.has(batch + 1) && labels.has(batch + 2), `batch of ${batch}`);
    }
    await vectors.close();
    await storage.close();
  }
  t.diagnostic(`${acknowledged.length} acknowledged items in 3 crashes`);
});

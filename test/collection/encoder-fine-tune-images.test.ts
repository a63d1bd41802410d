import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { Random } from "../../src/vector/index.js";
import { type Colour, png } from "../support/pictures.js";
import { seedOf } from "../support/seed.js";
import { temporaryDirectory } from "../support/temporary-directory.js";
import { ended, openDatabase, until } from "./support.js";

const INK: Colour = [20, 20, 20];
const PAPER: Colour = [245, 245, 245];

/** A drawing of one of four kinds: bars across, bars down, a square, a cross; somewhere on the page. */
function drawing(random: Random, kind: number): string {
  const [left, top] = [3 + random.integer(8), 3 + random.integer(8)];
  const inked = (x: number, y: number) => {
    const [u, v] = [x - left, y - top];
    if (u < 0 || v < 0 || u >= 14 || v >= 14) return false;
    if (kind === 0) return v % 5 < 2;
    if (kind === 1) return u % 5 < 2;
    if (kind === 2) return u < 3 || v < 3 || u > 10 || v > 10;
    return Math.abs(u - v) < 2 || Math.abs(u + v - 13) < 2;
  };
  return png(28, 28, (x, y) => (inked(x, y) ? INK : PAPER)).toString("base64");
}

test("an image encoder learns without a label, goes on after a stop though its images are gone, and its rows catch up", async (t) => {
  const random = new Random(seedOf("image fine-tune", 9));
  const directory = join(temporaryDirectory(t), "data");
  const database = await openDatabase(t, { directory });
  await database.createCollection("drawings", { modality: "image", encoder: "patch-cnn" });
  const drawings = database.collection("drawings");
  const items = Array.from({ length: 80 }, (_, i) => ({ id: `d${i}`, image: drawing(random, i % 4) }));
  await drawings.upsert(items);
  const options = { scope: "encoder", source: "augmentation", epochs: 3, promote: "always", seed: 3 } as const;
  const { id } = await drawings.startFineTune(options);
  await until(drawings, id, ({ phase, progress }) => phase === "training" && progress.done > 0);
  // What the job learns from stays, though its item goes and takes the file along.
  await drawings.deleteItems({ ids: items.slice(0, 20).map((item) => item.id) });
  await database.close();

  const again = (await openDatabase(t, { directory })).collection("drawings");
  await again.upsert([{ id: "late", image: drawing(random, 2) }]);
  const job = await ended(again, id);
  assert.deepEqual([job.status, job.resumed, job.generation], ["promoted", 1, 1], job.reason);
  assert.equal(job.metrics!.judgedBy, "augmentation");
  const asked = drawing(random, 1);
  await again.upsert([{ id: "later", image: asked }]);
  const find = async () => {
    const { generation, results } = await again.query({ image: asked, k: 100, exact: true });
    assert.equal(results.length, 62);
    // Another drawing may be the very same.
    assert.ok(results.find((hit) => hit.id === "later")!.distance < 1e-5);
    return generation;
  };
  assert.equal(await find(), 1);
  assert.equal((await ended(again, (await again.activate(0)).id)).status, "promoted");
  assert.equal(await find(), 0);
});

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import type { Collection, Database } from "../../src/collection/index.js";
import { Random } from "../../src/vector/index.js";
import { contentHash } from "../../storage/index.js";
import { cleanUp } from "../support/clean-up.js";
import { writeColourEncoder } from "../support/colour-encoder.js";
import { plain, png } from "../support/pictures.js";
import { seedOf } from "../support/seed.js";
import { temporaryDirectory } from "../support/temporary-directory.js";
import { ended, openDatabase } from "./support.js";

const base64 = (bytes: Buffer) => bytes.toString("base64");

async function photoCollection(t: TestContext, database: Database): Promise<Collection> {
  const encoder = writeColourEncoder(temporaryDirectory(t));
  await database.createCollection("photos", { modality: "image", encoder });
  return database.collection("photos");
}

function contentFolder(directory: string): string {
  const collections = join(directory, "collections");
  return join(collections, readdirSync(collections)[0] ?? "", "content");
}

/** Hashes of the files in the content folder. */
function filesOf(directory: string): string[] {
  const root = contentFolder(directory);
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((name) => statSync(join(root, name), { throwIfNoEntry: false })?.isFile())
    .map((name) => name.replace("/", ""))
    .sort();
}

test("kill -9 while images come and go: every acknowledged image is there, and no other file", async (t) => {
  const directory = temporaryDirectory(t);
  const encoder = writeColourEncoder(temporaryDirectory(t));
  const acknowledged = new Map<string, number>();
  const path = new URL("./image-crash-child.js", import.meta.url).pathname;
  for (const count of [30, 60]) {
    const child = spawn(process.execPath, [path, directory, encoder], { stdio: ["ignore", "pipe", "inherit"] });
    cleanUp(t, () => child.kill("SIGKILL"));
    const gone = once(child, "exit");
    let lines = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      const [, id = "", shade] = line.split(" ");
      acknowledged.set(id, Number(shade));
      if (++lines === count) child.kill("SIGKILL");
    }
    assert.deepEqual(await gone, [null, "SIGKILL"], "the child ended by itself");

    mkdirSync(join(contentFolder(directory), "ff"), { recursive: true });
    writeFileSync(join(contentFolder(directory), "ff", "left-over"), "left over");
    const database = await openDatabase(t, { directory });
    const photos = database.collection("photos");
    const named = new Set<string>();
    const { items } = await photos.listItems({ limit: 1000 });
    for (const { id } of items) {
      const { hash, file } = await photos.itemImage(id);
      named.add(hash);
      assert.equal(contentHash(file?.bytes ?? Buffer.alloc(0)), hash);
    }
    // The write that was under way may be there or not; what was acknowledged before is as it was said.
    const unsure = [...acknowledged.keys()].slice(-6);
    for (const [id, shade] of acknowledged) {
      if (unsure.includes(id)) continue;
      const { file } = await photos.itemImage(id);
      const current = [shade, ...[150, 151, 152, 153, 154, 155, 156]];
      assert.ok(
        current.some((each) => plain("red", -each).equals(file?.bytes ?? Buffer.alloc(0))),
        id,
      );
    }
    assert.deepEqual(filesOf(directory), [...named].sort());
    await database.close();
  }
});

test("writers of the same images side by side leave each image once, and deletions leave none", async (t) => {
  const random = new Random(seedOf("same images", 4));
  const database = await openDatabase(t, { durability: "os" });
  const photos = await photoCollection(t, database);
  const images = Array.from({ length: 8 }, (_, i) => plain("green", -i));
  const expected = new Map<string, string>();
  for (let round = 0; round < 12; round++) {
    const batches = Array.from({ length: 4 }, (_, writer) =>
      Array.from({ length: 6 }, (_, i) => ({ id: `${writer}-${i}`, image: base64(images[random.integer(8)]!) })),
    );
    await Promise.all(batches.map((items) => photos.upsert(items)));
    for (const { id, image } of batches.flat()) expected.set(id, image);
    const gone = [...expected.keys()].filter(() => random.integer(3) === 0);
    await photos.deleteItems({ ids: gone });
    for (const id of gone) expected.delete(id);
  }
  const { directory } = database;
  for (const [id, image] of expected) {
    assert.equal((await photos.itemImage(id)).file?.bytes.toString("base64"), image);
  }
  const referred = new Set([...expected.values()].map((image) => contentHash(Buffer.from(image, "base64"))));
  await settled(() => filesOf(directory).length === referred.size);
  assert.deepEqual(filesOf(directory), [...referred].sort());
  await photos.deleteItems({ filter: {} });
  await settled(() => filesOf(directory).length === 0);
  assert.deepEqual(filesOf(directory), []);
});

test("images are deleted though others are being read all the time", async (t) => {
  const database = await openDatabase(t, { durability: "os" });
  const photos = await photoCollection(t, database);
  const items = Array.from({ length: 12 }, (_, i) => ({ id: `p${i}`, image: base64(plain("green", -i)) }));
  await photos.upsert(items);
  let reading = true;
  let reads = 0;
  const reader = async (id: string) => {
    for (; reading; reads++) {
      const { file } = await photos.itemImage(id);
      assert.equal(base64(file!.bytes), items[Number(id.slice(1))]!.image);
    }
  };
  const readers = [reader("p0"), reader("p1"), reader("p0")];
  await photos.deleteItems({ ids: items.slice(2).map(({ id }) => id) });
  await settled(() => filesOf(database.directory).length === 2);
  reading = false;
  await Promise.all(readers);
  assert.equal(filesOf(database.directory).length, 2, `after ${reads} reads`);
});

test("nothing of a collection outlives its deletion, whatever images were on their way into it", async (t) => {
  const database = await openDatabase(t);
  const photos = await photoCollection(t, database);
  const upserts = Array.from({ length: 20 }, (_, i) =>
    photos.upsert([{ id: `p${i}`, image: base64(plain("blue", -i)) }]),
  );
  const submissions = Array.from({ length: 20 }, (_, i) =>
    photos.submitFeedback({ labels: [{ item: { image: base64(plain("green", -i)) }, label: "x" }] }),
  );
  const outcomes = Promise.allSettled([...upserts, ...submissions]);
  await upserts[0];
  await database.deleteCollection("photos");
  for (const outcome of await outcomes) {
    if (outcome.status === "rejected")
      assert.match(String(outcome.reason.code), /^(collection_not_found|shutting_down)$/);
  }
  assert.deepEqual(readdirSync(join(database.directory, "collections")), []);
});

test("a fine-tune learns from images that are items and from images that are not", async (t) => {
  const random = new Random(seedOf("tuning images", 9));
  const database = await openDatabase(t);
  const photos = await photoCollection(t, database);
  // What counts is the upper half; the lower half, of any colour, only disturbs.
  const colour = (level: number) =>
    [40, 128, 215].map((base, i) => (i === level ? 230 : base / 3 + random.integer(30)));
  const picture = (upper: number) => {
    const [top, bottom] = [colour(upper), [random.integer(256), random.integer(256), random.integer(256)]];
    return png(12, 12, (_, y) => (y < 6 ? top : bottom) as [number, number, number]);
  };
  const classes = Array.from({ length: 180 }, (_, i) => i % 3);
  await photos.upsert(classes.map((upper, i) => ({ id: `p${i}`, image: base64(picture(upper)), payload: { upper } })));
  const labels = classes.slice(0, 150).map((upper, i) => ({ item: `p${i}`, label: `${upper}` }));
  const others = [0, 1, 2].map((upper) => ({ item: { image: base64(picture(upper)) }, label: `${upper}` }));
  await photos.submitFeedback({ labels: [...labels, ...others] });
  const { id } = await photos.startFineTune({ scope: "head", learningRate: 0.02, epochs: 30 });
  const job = await ended(photos, id);
  assert.equal(job.status, "promoted", job.reason);
  const query = await photos.query({ image: base64(picture(1)), k: 20 });
  assert.equal(query.generation, 1);
  const right = query.results.filter(({ payload }) => payload?.upper === 1).length;
  assert.ok(right >= 18, `${right} of 20 have the same upper half`);
  assert.equal(
    readFileSync(join(contentFolder(database.directory), "..", "generations", "1", "head.onnx")).length > 0,
    true,
  );
});

async function settled(holds: () => boolean): Promise<void> {
  for (let waited = 0; !holds() && waited < 5000; waited += 20) await new Promise((resolve) => setTimeout(resolve, 20));
}

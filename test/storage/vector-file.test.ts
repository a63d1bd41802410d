import assert from "node:assert/strict";
import { appendFileSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { Random } from "../../src/vector/random.js";
import { VectorFile } from "../../storage/index.js";
import { runsOf } from "../../storage/row-runs.js";
import { seedOf } from "../support/seed.js";
import { temporaryDirectory } from "../support/temporary-directory.js";

const D = 5;

/** The file's content, decoded number by number. */
function numbersIn(path: string): number[] {
  const bytes = readFileSync(path);
  return Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(i * 4));
}

test("random writes, truncations and restarts agree with an array", async (t) => {
  const random = new Random(seedOf("vector file", 5));
  const path = join(temporaryDirectory(t), "deep", "er", "vectors.f32");
  let file = await VectorFile.open(path, D);
  t.after(() => file.close());
  let model: number[][] = [];
  for (let step = 0; step < 300; step++) {
    const choice = random.integer(20);
    if (choice < 13) {
      const start = random.integer(200);
      const labels = Array.from({ length: random.integer(30) }, (_, i) =>
        random.integer(3) === 0 ? random.integer(220) : start + i,
      );
      if (random.integer(2) === 0) random.shuffle(labels);
      const rows = Float32Array.from({ length: labels.length * D }, () => random.normal());
      await file.write(labels, rows);
      labels.forEach((label, i) => {
        while (model.length <= label) model.push(new Array(D).fill(0));
        model[label] = [...rows.subarray(i * D, (i + 1) * D)];
      });
    } else if (choice < 17 && model.length > 0) {
      const labels = Array.from({ length: random.integer(40) }, () => random.integer(model.length));
      assert.deepEqual(
        [...(await file.read(labels))],
        labels.flatMap((label) => model[label]!),
        `step ${step}`,
      );
      const first = random.integer(model.length);
      const count = random.integer(model.length - first + 1);
      assert.deepEqual([...(await file.readBlock(first, count))], model.slice(first, first + count).flat());
    } else if (choice === 17) {
      model = model.slice(0, random.integer(model.length + 1));
      await file.truncate(model.length);
    } else if (choice === 18) {
      await file.close();
      file = await VectorFile.open(path, D);
    } else {
      await file.sync();
    }
    assert.equal(file.rows(), model.length);
  }
  assert.deepEqual(numbersIn(path), model.flat());
});

test("a torn last row is cut off on open", async (t) => {
  const path = join(temporaryDirectory(t), "v.f32");
  let file = await VectorFile.open(path, D);
  await file.write(
    [0, 1],
    Float32Array.from({ length: 2 * D }, (_, i) => i),
  );
  await file.close();
  for (const torn of [1, 4, D * 4 - 1]) {
    appendFileSync(path, Buffer.alloc(torn, 0xff));
    file = await VectorFile.open(path, D);
    assert.equal(file.rows(), 2);
    assert.equal(statSync(path).size, 2 * D * 4);
    await file.close();
  }
  assert.deepEqual(
    numbersIn(path),
    Array.from({ length: 2 * D }, (_, i) => i),
  );
});

test("rows beyond the end are refused", async (t) => {
  const file = await VectorFile.open(join(temporaryDirectory(t), "v.f32"), D);
  t.after(() => file.close());
  await file.write([2], new Float32Array(D));
  const beyond = { code: "row_out_of_range", message: /it has 3/ };
  await assert.rejects(file.read([0, 3]), beyond);
  await assert.rejects(file.readBlock(2, 2), beyond);
  await assert.rejects(file.readBlock(-1, 2), beyond);
  await assert.rejects(file.readBlock(0, -1), beyond);
  await assert.rejects(file.readBlock(0.5, 1), beyond);
  await assert.rejects(file.truncate(4), beyond);
  assert.deepEqual(await file.readBlock(3, 0), new Float32Array(0));
  assert.deepEqual(await file.read([]), new Float32Array(0));
});

test("rows, labels and dimensions that do not fit are refused, and nothing is written", async (t) => {
  const path = join(temporaryDirectory(t), "v.f32");
  const file = await VectorFile.open(path, D);
  t.after(() => file.close());
  const bad = { code: "invalid_rows" };
  await assert.rejects(file.write([0, 1], new Float32Array(D)), bad);
  for (const label of [-1, 0.5, Number.NaN, 2 ** 32])
    await assert.rejects(file.write([0, label], new Float32Array(2 * D)), bad);
  await assert.rejects(file.read([-1]), bad);
  for (const dimensions of [0, -1, 1.5, Number.NaN]) await assert.rejects(VectorFile.open(path, dimensions), bad);
  assert.equal(statSync(path).size, 0);
  assert.equal(file.rows(), 0);
});

test("labels above 2^31 and files above 4 GiB work, sparsely", async (t) => {
  const path = join(temporaryDirectory(t), "v.f32");
  const file = await VectorFile.open(path, 1);
  const labels = Uint32Array.from([2 ** 31 + 7, 5, 2 ** 31 + 6]);
  await file.write(labels, Float32Array.from([1, 2, 3]));
  assert.equal(file.rows(), 2 ** 31 + 8);
  assert.deepEqual(await file.read([2 ** 31 + 6, 2 ** 31 + 7, 5, 6]), Float32Array.from([3, 1, 2, 0]));
  assert.ok(statSync(path).blocks * 512 < 1 << 20);
  await file.close();
});

test("syncs at once share calls, and each covers the writes before it", async (t) => {
  const file = await VectorFile.open(join(temporaryDirectory(t), "v.f32"), D);
  const writeAndSync = async (label: number) => {
    await file.write([label], new Float32Array(D).fill(label));
    await file.sync();
  };
  await Promise.all(Array.from({ length: 40 }, (_, i) => writeAndSync(i)));
  assert.equal(file.rows(), 40);
  // Two at once are one call; one that comes when it has begun is not covered by it.
  const [first, second] = [file.sync(), file.sync()];
  assert.equal(first, second);
  await setImmediate();
  assert.notEqual(file.sync(), first);
  await file.close();
});

test("close waits for what is under way and refuses the rest", async (t) => {
  const path = join(temporaryDirectory(t), "v.f32");
  const file = await VectorFile.open(path, D);
  const labels = Array.from({ length: 200 }, (_, i) => 2 * i);
  const written = file.write(labels, new Float32Array(labels.length * D).fill(1));
  const synced = file.sync();
  const closed = file.close();
  const refused = { code: "storage_closed" };
  await Promise.all([
    written,
    synced,
    closed,
    file.close(),
    assert.rejects(file.read([0]), refused),
    assert.rejects(file.sync(), refused),
    assert.rejects(file.write([0], new Float32Array(D)), refused),
  ]);
  assert.equal(statSync(path).size, (2 * 199 + 1) * D * 4);
});

test("a full disk is a clear error", { skip: !existsSync("/dev/full") && "needs /dev/full" }, async (t) => {
  const file = await VectorFile.open("/dev/full", D);
  t.after(() => file.close());
  await assert.rejects(file.write([0], new Float32Array(D)), { code: "write_failed", message: /dev.full.*ENOSPC/ });
  assert.equal(file.rows(), 0);
});

test("a path that cannot be opened is refused", async (t) => {
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, "file"), "");
  await assert.rejects(VectorFile.open(join(directory, "file", "v.f32"), D), { code: "data_directory" });
  await assert.rejects(VectorFile.open(directory, D), { code: "data_directory" });
  assert.ok(!existsSync(join(directory, "v.f32")));
});

test("consecutive labels are one transfer, without a copy where they stand in order", () => {
  const runs = (labels: number[]) =>
    runsOf(labels, 99).map(({ label, positions, adjacent }) => [label, positions, adjacent]);
  assert.deepEqual(runs([4, 5, 6]), [[4, [0, 1, 2], true]]);
  assert.deepEqual(runs([6, 5, 9, 4]), [
    [4, [3, 1, 0], false],
    [9, [2], true],
  ]);
  assert.deepEqual(runs([1, 1, 2]), [[1, [1, 2], true]]);
  assert.deepEqual(runs([1, 2, 1]), [[1, [2, 1], false]]);
  assert.deepEqual(runs([]), []);
});

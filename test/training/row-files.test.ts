import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { LiveRows, RowFile, successiveRuns } from "../../src/training/rows/row-files.js";
import { VectorWriter } from "../../src/training/rows/vector-writer.js";
import { Random } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";
import { temporaryDirectory } from "../support/temporary-directory.js";

const DIMENSIONS = 3;

test("labels that follow one another are one run", () => {
  const runs = [...successiveRuns(Uint32Array.of(4, 5, 6, 9, 8, 9))];
  assert.deepEqual(runs, [
    { first: 4, length: 3, offset: 0 },
    { first: 9, length: 1, offset: 3 },
    { first: 8, length: 2, offset: 4 },
  ]);
  assert.deepEqual([...successiveRuns(Uint32Array.of(4, 5, 6, 9), 1, 2)], [{ first: 5, length: 2, offset: 0 }]);
  assert.deepEqual([...successiveRuns(new Uint32Array(0))], []);
});

test("vectors written block by block stand at their labels, and zeros between them", async (t) => {
  const random = new Random(seedOf("row files", 11));
  const file = path.join(temporaryDirectory(t), "vectors.f32");
  const labels = Uint32Array.from({ length: 40 }, (_, i) => i)
    .filter(() => random.uniform() < 0.6)
    .map((label) => label + 2);
  const vectors = Float32Array.from({ length: labels.length * DIMENSIONS }, () => random.uniform() + 1);
  const writer = await VectorWriter.create(file, labels, DIMENSIONS);
  for (let start = 0; start < labels.length; start += 7) {
    const end = Math.min(labels.length, start + 7);
    await writer.write(labels.subarray(start, end), vectors.slice(start * DIMENSIONS, end * DIMENSIONS));
  }
  await writer.finish();
  await writer.close();

  const expected = new Float32Array((Math.max(...labels) + 1) * DIMENSIONS);
  labels.forEach((label, i) => {
    expected.set(vectors.subarray(i * DIMENSIONS, (i + 1) * DIMENSIONS), label * DIMENSIONS);
  });
  assert.deepEqual(new Float32Array(Uint8Array.from(readFileSync(file)).buffer), expected);

  const rows = new RowFile(file, DIMENSIONS);
  const live = new LiveRows(rows, labels);
  assert.deepEqual(await live.readAhead(0, labels.length, DIMENSIONS), vectors);
  const at = new Float32Array(5 * DIMENSIONS);
  live.read(3, 4, at, 1);
  assert.deepEqual(at.subarray(DIMENSIONS), vectors.subarray(3 * DIMENSIONS, 7 * DIMENSIONS));
  rows.close();
});

test("a file that ends before a row says so, however it is read", async (t) => {
  const file = path.join(temporaryDirectory(t), "short.f32");
  writeFileSync(file, new Float32Array(2 * DIMENSIONS));
  const rows = new RowFile(file, DIMENSIONS);
  const ends = { code: "fine_tune_failed", message: /short\.f32 ends before row 2; it holds 2 rows of 3 numbers/ };
  assert.throws(() => rows.read(0, 3, new Float32Array(3 * DIMENSIONS)), ends);
  await assert.rejects(new LiveRows(rows, Uint32Array.of(1, 2)).readAhead(0, 2, DIMENSIONS), ends);
  rows.close();
});

test("a block that cannot be written fails the next write, and the end", async (t) => {
  const labels = Uint32Array.of(0);
  const writer = await VectorWriter.create(path.join(temporaryDirectory(t), "vectors.f32"), labels, DIMENSIONS);
  // Nothing can be written to a file that is closed.
  await writer.close();
  await writer.write(labels, new Float32Array(DIMENSIONS));
  await assert.rejects(writer.write(labels, new Float32Array(DIMENSIONS)), /closed|bad file/i);
  await assert.rejects(writer.finish(), /closed|bad file/i);
});

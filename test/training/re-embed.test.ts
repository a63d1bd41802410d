import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { headModel } from "../../src/training/head/head.js";
import { reEmbed } from "../../src/training/head/re-embed.js";
import { RowFile } from "../../src/training/rows/row-files.js";
import { createVectorFile } from "../../src/training/rows/vector-writer.js";
import { Random } from "../../src/vector/random.js";
import { seedOf } from "../support/seed.js";
import { temporaryDirectory } from "../support/temporary-directory.js";

test("parts of the items, written side by side, make the file that one go makes", async (t) => {
  const directory = temporaryDirectory(t);
  const random = new Random(seedOf("parts of items", 115));
  const [count, dimensions] = [3_000, 6];
  const base = join(directory, "base.f32");
  writeFileSync(
    base,
    Float32Array.from({ length: 2 * count * dimensions }, () => random.normal()),
  );
  const rows = new RowFile(base, dimensions);
  const weights = Float32Array.from({ length: dimensions ** 2 }, () => random.normal());
  const head = headModel(weights, dimensions);
  const labels = Uint32Array.from({ length: 2 * count }, (_, label) => label).filter(() => random.uniform() < 0.5);
  const write = async (name: string, bounds: readonly number[]) => {
    const path = join(directory, name);
    await createVectorFile(path, labels, dimensions);
    const request = { head, dimensions, rows, path, provider: "cpu", threads: 1, onBlock: async () => {} } as const;
    await Promise.all(bounds.map((from, i) => reEmbed({ ...request, labels: labels.subarray(from, bounds[i + 1]) })));
    return new Float32Array(Uint8Array.from(readFileSync(path)).buffer);
  };
  const together = await write("together.f32", [0]);
  assert.deepEqual(await write("parts.f32", [0, 1_111, 1_400]), together);
  const expected = new Float32Array(((labels.at(-1) ?? 0) + 1) * dimensions);
  const given = new Float32Array(dimensions);
  for (const label of labels) {
    rows.read(label, 1, given);
    for (let j = 0; j < dimensions; j++) {
      expected[label * dimensions + j] = given.reduce((sum, x, i) => sum + x * weights[i * dimensions + j]!, 0);
    }
  }
  assert.equal(together.length, expected.length);
  together.forEach((value, i) => {
    assert.ok(Math.abs(value - expected[i]!) < 1e-5, `${i}: ${value} is ${expected[i]}`);
  });
  rows.close();
});

test("a head whose vectors are not finite is refused", async (t) => {
  const directory = temporaryDirectory(t);
  const [base, vectors] = [join(directory, "base.f32"), join(directory, "vectors.f32")];
  writeFileSync(base, Float32Array.of(1, 2, 3e38, 3));
  const rows = new RowFile(base, 2);
  const request = { dimensions: 2, rows, provider: "cpu", threads: 1, onBlock: async () => {} } as const;
  const doubling = headModel(Float32Array.of(2, 0, 0, 2), 2);
  await createVectorFile(vectors, Uint32Array.of(0, 1), 2);
  const write = (labels: Uint32Array) => reEmbed({ ...request, head: doubling, labels, path: vectors });
  await write(Uint32Array.of(0));
  await assert.rejects(write(Uint32Array.of(0, 1)), { code: "fine_tune_failed", message: /not finite.*smaller/ });
  rows.close();
});

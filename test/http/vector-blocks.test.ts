import assert from "node:assert/strict";
import { test } from "node:test";
import { VectorBlocks } from "../../src/http/vector-blocks.js";

test("vectors of a body share memory without sharing numbers, until they are freed", () => {
  const blocks = new VectorBlocks(true);
  const vectors = Array.from({ length: 1000 }, (_, i) => blocks.take(1 + (i % 700)).fill(i));
  assert.ok(vectors.every((vector, i) => vector.length === 1 + (i % 700) && vector.every((x) => x === i)));
  assert.ok(new Set(vectors.map(({ buffer }) => buffer)).size < 30);
  blocks.free();
  // The first blocks are too small to bother.
  assert.ok(vectors.slice(200).every(({ length }) => length === 0));
  assert.deepEqual(blocks.take(3), new Float32Array(3));
});

test("vectors of which nobody says when they are done with stay", () => {
  const blocks = new VectorBlocks(false);
  const vector = blocks.take(5000).fill(1);
  blocks.free();
  assert.equal(vector.length, 5000);
});

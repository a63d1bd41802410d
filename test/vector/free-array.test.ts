import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { freeArray } from "../../src/vector/index.js";

const BYTES = 64 << 20;

test("memory of an array that is freed is given back without a collection, and all its views are empty", async () => {
  // In the first turn after loading it is given back in the next one.
  await sleep(10);
  const array = new Float32Array(BYTES / 4);
  const view = array.subarray(10, 20);
  const held = process.memoryUsage().arrayBuffers;
  freeArray(array);
  assert.ok(process.memoryUsage().arrayBuffers < held - BYTES / 2);
  assert.deepEqual([array.length, view.length], [0, 0]);
  // Again, and another after it: the port of nobody stays open for more.
  freeArray(array);
  const bytes = Buffer.allocUnsafeSlow(1 << 16);
  freeArray(bytes);
  assert.equal(bytes.length, 0);
});

test("a part of a buffer, shared memory and small arrays stay as they are", () => {
  const whole = new Float32Array(1 << 16).fill(1);
  freeArray(whole.subarray(1));
  const pooled = Buffer.from("small");
  freeArray(pooled);
  const shared = new Uint8Array(new SharedArrayBuffer(1 << 16));
  freeArray(shared);
  assert.deepEqual([whole[5], pooled.toString(), shared.length], [1, "small", 1 << 16]);
});

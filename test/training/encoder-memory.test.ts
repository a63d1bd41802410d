import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { GraphBuilder } from "../../src/onnx/index.js";
import { GraphMemory } from "../../src/training/encoder/step-memory.js";
import type { MeasuredStep } from "./encoder-memory-child.js";

test("what is alive at once in a graph is counted by hand the same", () => {
  const g = new GraphBuilder("alive");
  const x = g.input("x", "float32", ["rows", 10]);
  // 40 bytes a row each: a (10), b in the place of a (10), wide (20), c (10); at the most b, wide and c are about.
  const b = g.relu(g.matMul(x, g.initializer("w", { dtype: "float32", shape: [10, 10], data: new Float32Array(100) })));
  const wide = g.reshape(g.concat([b, b], 1), [-1, 20]);
  const c = g.matMul(wide, g.initializer("v", { dtype: "float32", shape: [20, 10], data: new Float32Array(200) }));
  g.output(g.add(c, b), "y");
  assert.equal(new GraphMemory(g).peakBytes({ rows: 7 }), 7 * 4 * (10 + 20 + 10));
});

/** Runs training steps of use-lite in a process of its own. */
function measure(rows: number, tokens: number, memoryMb?: number): Promise<MeasuredStep> {
  return new Promise((resolve, reject) => {
    const entry = fileURLToPath(new URL("./encoder-memory-child.js", import.meta.url));
    const child = fork(entry, [`${rows}`, `${tokens}`, `${memoryMb ?? ""}`], { execArgv: [] });
    child.once("message", (message) => resolve(message as MeasuredStep));
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`The child ended with ${code}`)));
  });
}

for (const [name, rows, tokens, memoryMb] of [
  ["small", 16, 12, undefined],
  ["big", 48, 48, undefined],
  ["worked off in parts", 96, 64, 560],
] as const) {
  test(`the memory of a step that is ${name} is stated within a quarter of what it takes`, async () => {
    const { statedBytes, peakBytes, whole } = await measure(rows, tokens, memoryMb);
    const ratio = statedBytes / peakBytes;
    const told = `stated ${Math.round(statedBytes / 2 ** 20)} MiB, measured ${Math.round(peakBytes / 2 ** 20)} MiB`;
    assert.ok(ratio > 0.75 && ratio < 1.25, told);
    assert.equal(whole, memoryMb === undefined);
  });
}

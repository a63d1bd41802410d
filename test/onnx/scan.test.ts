import assert from "node:assert/strict";
import { test } from "node:test";
import { AttuneError } from "../../src/errors/index.js";
import { encodeModel, GraphBuilder, scanModel } from "../../src/onnx/index.js";
import { openSession } from "../../src/runtime/index.js";

/** next = state * factor + x, and twice what it was before. */
function recurrence() {
  const graph = new GraphBuilder("recurrence", { opset: 20 });
  const state = graph.input("state", "float32", [2]);
  const x = graph.input("x", "float32", [2]);
  const factor = graph.input("factor", "float32", []);
  graph.output(graph.mul(state, 2), "twice");
  graph.output(graph.add(graph.mul(state, factor), x), "next");
  return graph.model();
}

test("a scanned model runs round after round, and hands out the last state and what each round gave", async () => {
  const model = encodeModel(scanModel(recurrence(), { state: { state: "next" }, each: ["x"] }));
  const session = await openSession(model, { provider: "cpu", threads: 1 });
  const floats = (shape: number[], ...data: number[]) => ({
    dtype: "float32" as const,
    shape,
    data: Float32Array.from(data),
  });
  for (const rounds of [1, 4]) {
    const x = Array.from({ length: 2 * rounds }, (_, i) => i - 2.5);
    const feeds = { state: floats([2], 1, -3), x: floats([rounds, 2], ...x), factor: floats([], 0.5) };
    const outputs = await session.run(feeds);
    const state = [1, -3];
    const twice: number[] = [];
    for (let round = 0; round < rounds; round++) {
      twice.push(...state.map((value) => 2 * value));
      for (const i of [0, 1]) state[i] = state[i]! * 0.5 + x[2 * round + i]!;
    }
    assert.deepEqual([...outputs.next!.data], state);
    assert.deepEqual([outputs.twice!.shape, [...outputs.twice!.data]], [[rounds, 2], twice]);
  }
  await session.close();
});

test("what is scanned must be there", () => {
  const refused = (part: RegExp) => (error: unknown) =>
    error instanceof AttuneError && error.code === "invalid_model" && part.test(error.message);
  assert.throws(() => scanModel(recurrence(), { state: { state: "nothing" }, each: ["x"] }), refused(/nothing/));
  assert.throws(() => scanModel(recurrence(), { state: { state: "next" }, each: ["y"] }), refused(/"y"/));
});

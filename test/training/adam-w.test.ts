import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeModel, GraphBuilder } from "../../src/onnx/index.js";
import { openSession } from "../../src/runtime/index.js";
import { floats, tensor } from "../../src/training/engines/engine.js";
import { graphOperations } from "../../src/training/engines/graph-operations.js";
import { adamWFactors, adamWStep } from "../../src/training/optimizer/adam-w.js";
import { Random } from "../../src/vector/random.js";
import { seedOf } from "../support/seed.js";

test("AdamW agrees with the paper's algorithm, written as loops in float64, over 30 steps", async () => {
  const random = new Random(seedOf("adam-w", 108));
  const [size, rate, decay] = [12, 0.01, 0.3];
  const graph = new GraphBuilder("adam_w");
  const vector = (name: string) => graph.input(name, "float32", [size]);
  const scalar = (name: string) => graph.input(name, "float32", []);
  const state = { parameter: vector("parameter"), mean: vector("mean"), variance: vector("variance") };
  const factors = { stepSize: scalar("stepSize"), epsilon: scalar("epsilon"), keep: scalar("keep") };
  const next = adamWStep(graphOperations(graph), state, vector("gradient"), factors);
  for (const name of ["parameter", "mean", "variance"] as const) graph.output(next[name], `next ${name}`);
  const session = await openSession(encodeModel(graph.model()), { provider: "cpu", threads: 1 });

  const w = Array.from({ length: size }, () => random.normal());
  const m = w.map(() => 0);
  const v = w.map(() => 0);
  let fed = { parameter: Float32Array.from(w), mean: Float32Array.from(m), variance: Float32Array.from(v) };
  for (let step = 1; step <= 30; step++) {
    // One entry never has a gradient: its update must be decay alone, not 0 / 0.
    const gradient = w.map((_, i) => (i === 0 ? 0 : Math.fround(random.normal() * 10 ** -i)));
    for (let i = 0; i < size; i++) {
      const g = gradient[i]!;
      m[i] = 0.9 * m[i]! + 0.1 * g;
      v[i] = 0.999 * v[i]! + 0.001 * g * g;
      const corrected = m[i]! / (1 - 0.9 ** step) / (Math.sqrt(v[i]! / (1 - 0.999 ** step)) + 1e-8);
      w[i] = w[i]! - rate * decay * w[i]! - rate * corrected;
    }
    const numbers = adamWFactors(step, rate, decay);
    const outputs = await session.run({
      parameter: tensor(fed.parameter, [size]),
      mean: tensor(fed.mean, [size]),
      variance: tensor(fed.variance, [size]),
      gradient: tensor(Float32Array.from(gradient), [size]),
      stepSize: tensor(Float32Array.of(numbers.stepSize), []),
      epsilon: tensor(Float32Array.of(numbers.epsilon), []),
      keep: tensor(Float32Array.of(numbers.keep), []),
    });
    fed = {
      parameter: floats(outputs, "next parameter") as Float32Array<ArrayBuffer>,
      mean: floats(outputs, "next mean") as Float32Array<ArrayBuffer>,
      variance: floats(outputs, "next variance") as Float32Array<ArrayBuffer>,
    };
    for (const [i, value] of fed.parameter.entries()) {
      assert.ok(Math.abs(value - w[i]!) < 1e-5, `${value} is not ${w[i]}`);
    }
  }
  await session.close();
});

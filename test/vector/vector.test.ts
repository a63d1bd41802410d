import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  decodeFloat32,
  dot,
  encodeFloat32,
  MAX_EUCLIDEAN_NORM,
  type Metric,
  metricOf,
  norm,
  normalise,
  Random,
  readVector,
  squaredDistanceAt,
} from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";

const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected;
const base64 = (numbers: number[]) => {
  const bytes = Buffer.alloc(numbers.length * 4);
  numbers.forEach((x, i) => {
    bytes.writeFloatLE(x, i * 4);
  });
  return bytes.toString("base64");
};

describe("vector maths", () => {
  const random = new Random(seedOf("vector maths", 1));

  it("agrees with naive loops at every length", () => {
    for (let n = 0; n < 40; n++) {
      const a = Float32Array.from({ length: n }, () => random.normal());
      const b = Float32Array.from({ length: n }, () => random.normal());
      let product = 0;
      let square = 0;
      for (let i = 0; i < n; i++) {
        product += a[i]! * b[i]!;
        square += (a[i]! - b[i]!) ** 2;
      }
      assert.ok(Math.abs(dot(a, b) - product) < 1e-12 * (n + 1));
      assert.ok(Math.abs(squaredDistanceAt(a, 0, b, 0, n) - square) < 1e-12 * (n + 1));
    }
  });

  it("normalises to length 1 and leaves the zero vector alone", () => {
    assert.ok(Math.abs(norm(normalise(Float32Array.of(3, -4, 12))) - 1) < 1e-7);
    assert.deepEqual(normalise(new Float32Array(3)), new Float32Array(3));
  });
});

describe("metric", () => {
  it("measures golden distances and scores", () => {
    const cosine = metricOf("cosine");
    const rows = Float32Array.of(2, 0, 3, 3, -1, 0);
    cosine.preprocess(rows, 2);
    assert.ok(Math.abs(cosine.distanceAt(rows, 0, rows, 2, 2) - (1 - Math.SQRT1_2)) < 1e-7);
    assert.equal(cosine.distanceAt(rows, 0, rows, 4, 2), 2);
    assert.equal(cosine.score(2), -1);
    assert.equal(cosine.fromHnsw(-1e-8), 0);
    const euclidean = metricOf("euclidean");
    assert.equal(euclidean.distance(Float32Array.of(0, 3), Float32Array.of(4, 0)), 5);
    assert.equal(euclidean.fromHnsw(25), 5);
    assert.equal(euclidean.score(3), 0.25);
  });

  it("gives an equal row distance 0, never less", () => {
    const random = new Random(seedOf("equal rows", 2));
    for (let i = 0; i < 100; i++) {
      const row = normalise(Float32Array.from({ length: 33 }, () => random.normal()));
      const distance = metricOf("cosine").distance(row, row);
      assert.ok(distance >= 0 && distance < 1e-6);
    }
  });
});

describe("readVector", () => {
  it("reads numbers and base64 alike", () => {
    const numbers = [1.5, -2.25, 1e-20, 3];
    const expected = Float32Array.from(numbers);
    assert.deepEqual(readVector(numbers, 4, "cosine"), expected);
    assert.deepEqual(readVector(base64(numbers), 4, "cosine"), expected);
    assert.deepEqual(readVector(base64(numbers).replaceAll("=", ""), 4, "cosine"), expected);
  });

  const refusals: [string, readonly number[] | string, Metric, string][] = [
    ["too few numbers", [1], "cosine", "wrong_dimensions"],
    ["too many numbers", [1, 2, 3], "cosine", "wrong_dimensions"],
    ["base64 of too many numbers", base64([1, 2, 3]), "cosine", "wrong_dimensions"],
    ["NaN", [1, Number.NaN], "cosine", "not_finite"],
    ["infinity", [Number.POSITIVE_INFINITY, 1], "euclidean", "not_finite"],
    ["1e300, which is infinite as float32", [1e300, 1], "cosine", "not_finite"],
    ["NaN in base64", base64([1, Number.NaN]), "euclidean", "not_finite"],
    ["a norm whose distances overflow float32", [1e19, 0], "euclidean", "not_finite"],
    ["the zero vector under cosine", [0, -0], "cosine", "zero_vector"],
    ["numbers that are 0 as float32 under cosine", [1e-60, 0], "cosine", "zero_vector"],
    ["text that is not base64", "not base64!", "cosine", "invalid_vector"],
    ["bytes that are no whole numbers", Buffer.alloc(7).toString("base64"), "cosine", "invalid_vector"],
    ["null among the numbers", [1, null as unknown as number], "cosine", "invalid_vector"],
    ["a string among the numbers", [1, "2" as unknown as number], "cosine", "invalid_vector"],
  ];
  for (const [name, value, metric, expected] of refusals) {
    it(`refuses ${name}`, () => {
      assert.throws(() => readVector(value, 2, metric), code(expected));
    });
  }

  it("accepts the zero vector and the largest norm under euclidean", () => {
    assert.deepEqual(readVector([0, 0], 2, "euclidean"), new Float32Array(2));
    assert.equal(readVector([MAX_EUCLIDEAN_NORM * 0.999, 0], 2, "euclidean").length, 2);
  });

  it("encodes and decodes little-endian bytes at any alignment", () => {
    const values = Float32Array.of(1, -2.5, 3e10);
    const shifted = Buffer.concat([Buffer.from([9]), encodeFloat32(values)]).subarray(1);
    assert.equal(Buffer.from(encodeFloat32(values)).readFloatLE(4), -2.5);
    assert.deepEqual(decodeFloat32(shifted), values);
  });
});

import assert from "node:assert/strict";
import test from "node:test";
import { type AnsweredSearch, packHits, unpackHits } from "../../src/index/packed-hits.js";
import { Random } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";

test("answers come out of a packed array as they went in, searches of no queries and queries of no hits among them", () => {
  const random = new Random(seedOf("packHits", 1));
  for (let round = 0; round < 50; round++) {
    const answers: AnsweredSearch[] = Array.from({ length: random.integer(5) }, () => ({
      id: random.integer(2 ** 31),
      hits: Array.from({ length: random.integer(4) }, () => {
        const count = random.integer(6);
        return {
          labels: Uint32Array.from({ length: count }, () => random.uint32()),
          distances: Float64Array.from({ length: count }, () => random.normal()),
        };
      }),
    }));
    assert.deepEqual(unpackHits(structuredClone(packHits(answers))), answers);
  }
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { ItemToSend } from "../../src/client/index.js";
import { Random } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";
import { serve } from "./support.js";

const DIMENSIONS = 4;
const ROUNDS = 60;

type Payload = Record<string, unknown> | null;

test("a query shows the payload each item has now, whatever came, changed or went, and after a restart", async (t) => {
  const server = await serve();
  t.after(() => server.stop());
  await server.client.createCollection("things", { modality: "vector", dimensions: DIMENSIONS });
  const things = () => server.client.collection("things");
  const random = new Random(seedOf("payloads of hits", 11));
  /** What the server should hold: a plain map. */
  const truth = new Map<string, Payload>();
  // Few vectors, so that the same content often comes again, which keeps its place, and often does not.
  const vectors = Array.from({ length: 3 }, () => Array.from({ length: DIMENSIONS }, () => random.normal()));
  const payloadOf = (n: number): Payload =>
    [null, {}, { n }, { n, deep: { list: [1, "é", null] } }][random.integer(4)] as Payload;

  const assertShown = async () => {
    const query = { vector: vectors[random.integer(3)] as number[], k: 40 };
    const { results } = await things().query(query);
    assert.deepEqual(new Map(results.map(({ id, payload }) => [id, payload])), truth);
    for (const hit of (await things().query({ ...query, withPayload: false })).results)
      assert.deepEqual(Object.keys(hit), ["id", "score", "distance"]);
  };

  for (let round = 0; round < ROUNDS; round++) {
    const id = `i${random.integer(15)}`;
    const kind = random.integer(4);
    if (kind <= 1) {
      const payload = payloadOf(round);
      const item: ItemToSend = { id, vector: vectors[random.integer(3)] as number[] };
      await things().upsert([payload === null ? item : { ...item, payload }]);
      truth.set(id, payload);
    } else if (!truth.has(id)) continue;
    else if (kind === 2) {
      await things().patchItem(id, { patched: round });
      truth.set(id, { ...truth.get(id), patched: round });
    } else {
      await things().deleteItem(id);
      truth.delete(id);
    }
    if (round % 20 === 19) await server.restart();
    await assertShown();
  }
});

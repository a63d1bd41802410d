import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";
import { openDatabase, vectorCollection } from "./support.js";

const DIMENSIONS = 8;
const STEPS = 400;

interface Thing {
  vector: number[];
  payload: Record<string, unknown> | null;
}

/** The oracle: plain loops over a plain map. */
function nearest(model: Map<string, Thing>, query: number[], k: number, metric: string, group?: number): string[] {
  const distance = (vector: number[]) => {
    const dot = vector.reduce((sum, x, i) => sum + x * (query[i] ?? 0), 0);
    if (metric === "cosine") return 1 - dot / (Math.hypot(...vector) * Math.hypot(...query));
    return Math.hypot(...vector.map((x, i) => x - (query[i] ?? 0)));
  };
  return [...model]
    .filter(([, { payload }]) => group === undefined || payload?.group === group)
    .map(([id, { vector }]) => ({ id, distance: distance(vector) }))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, k)
    .map(({ id }) => id);
}

for (const metric of ["cosine", "euclidean"] as const) {
  test(`random writes, queries and restarts agree with a plain map (${metric})`, async (t) => {
    const random = new Random(seedOf(`collection model ${metric}`, 77));
    const model = new Map<string, Thing>();
    let database = await openDatabase(t);
    const { directory } = database;
    let things = await vectorCollection(database, DIMENSIONS, { metric });
    const anyId = () => `id-${random.integer(120)}`;
    const vector = () => Array.from({ length: DIMENSIONS }, () => Math.fround(random.normal()));
    const trace: string[] = [];

    for (let step = 0; step < STEPS; step++) {
      const roll = random.uniform();
      if (roll < 0.4) {
        const ids = [...new Set(Array.from({ length: 1 + random.integer(8) }, anyId))];
        const items = ids.map((id) => ({ id, vector: vector(), payload: { group: random.integer(4), step } }));
        await Promise.all([things.upsert(items.slice(0, 4)), things.upsert(items.slice(4))]);
        for (const { id, ...thing } of items) model.set(id, thing);
        trace.push(`upsert ${ids.join(" ")}`);
      } else if (roll < 0.55) {
        const id = anyId();
        assert.equal(await things.deleteItems({ ids: [id] }), model.delete(id) ? 1 : 0);
        trace.push(`delete ${id}`);
      } else if (roll < 0.65) {
        const id = anyId();
        const thing = model.get(id);
        if (thing !== undefined) thing.payload = { ...thing.payload, group: random.integer(4) };
        await things.patchItem(id, { ...thing?.payload }).catch((error) => assert.equal(thing, undefined, error));
        trace.push(`patch ${id}`);
      } else if (roll < 0.68) {
        await database.close();
        database = await openDatabase(t, { directory });
        things = database.collection("things");
        trace.push("restart");
      } else {
        const query = vector();
        const group = random.uniform() < 0.5 ? random.integer(5) : undefined;
        const filter = group === undefined ? {} : { filter: { must: [{ key: "group", equals: group }] } };
        const { results } = await things.query({
          vector: query,
          k: 10,
          exact: random.uniform() < 0.5,
          efSearch: 200,
          ...filter,
        });
        const ids = results.map(({ id }) => id);
        assert.deepEqual(
          ids,
          nearest(model, query, 10, metric, group),
          `step ${step} after ${trace.slice(-8).join(", ")}`,
        );
      }
      assert.equal(await things.count(), model.size);
    }
    const listed = (await things.listItems({ limit: 1000 })).items;
    assert.deepEqual(
      listed.map(({ id, payload }) => [id, payload]),
      [...model].map(([id, { payload }]) => [id, payload]).sort(([a], [b]) => ((a as string) < (b as string) ? -1 : 1)),
    );
  });
}

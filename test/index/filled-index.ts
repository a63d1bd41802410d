import { openHnswIndex } from "../../src/index/index.js";
import { Random } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";
import { Clusters, closedAfter, RowModel } from "./support.js";

const DIMENSIONS = 16;
const PARAMETERS = { m: 16, efConstruction: 100, efSearch: 64 };

/** An index whose graph holds so many clustered rows of 16 numbers, with labels from 0 on; closed when the test file ends. */
export async function filledIndex(count: number, seed: number, shards = 1) {
  const model = new RowModel(DIMENSIONS, "cosine");
  const clusters = new Clusters(new Random(seedOf("rows", seed)), DIMENSIONS);
  for (let label = 0; label < count; label++) model.write(label, clusters.row());
  const options = { rows: model.source, metric: model.metric, live: model.liveRows() };
  const index = closedAfter(await openHnswIndex({ ...options, parameters: { ...PARAMETERS, shards } }));
  await index.drain();
  return { model, clusters, index };
}

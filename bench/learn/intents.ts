import path from "node:path";
import type { CollectionClient, FineTuneOptions } from "../../src/client/index.js";
import { Random } from "../../src/vector/index.js";
import { corpusId, corpusItems, insertAll } from "../support/corpus.js";
import type { IntentData } from "../support/intent-data.js";
import { drawTriplets, measureSearch } from "../support/intent-protocol.js";
import { type Found, type Setting, withServer } from "./setting.js";

const COLLECTION = "intents";

/** The intents' texts as a collection, and the ways of learning from it. */
export async function intentSettings(data: IntentData, directory: string): Promise<Setting[]> {
  const prepared = path.join(directory, COLLECTION);
  const untrained = await withServer(prepared, async (client) => {
    const { collection } = await client.createCollection(COLLECTION, { modality: "text" });
    await insertAll(collection, corpusItems(data.train));
    return measure(data, collection);
  });
  const common = {
    prepared,
    collection: COLLECTION,
    untrained: () => Promise.resolve(untrained),
    measure: (collection: CollectionClient) => measure(data, collection),
  };
  const triplets = (n: number): Setting => ({
    ...common,
    name: `head, auto, ${n.toLocaleString("en-US")} triplets`,
    goal: n === 1000 ? "P@10 .80" : n === 5000 ? "P@10 .82" : "",
    options: { loss: "auto" },
    feedback: async (collection, seed) => ({
      triplets: await drawTriplets(collection, data.train, n, new Random(seed), false),
    }),
  });
  // By the corpus alone: see "banking77-validation".
  const encoder: FineTuneOptions = { scope: "encoder", loss: "info-nce", temperature: 0.05, batchSize: 128 };
  return [
    triplets(Math.min(1000, data.train.length)),
    triplets(Math.min(5000, data.train.length)),
    {
      ...common,
      name: "encoder, every text labelled",
      goal: "R@1 .92",
      options: encoder,
      feedback: () => Promise.resolve({ labels: labels(data, data.train.keys()) }),
    },
    {
      ...common,
      name: "encoder, 10 texts of each intent labelled",
      goal: "R@1 .86",
      options: encoder,
      feedback: (_collection, seed) =>
        Promise.resolve({ labels: labels(data, someOfEach(data, 10, new Random(seed))) }),
    },
  ];
}

/** Test queries against the whole corpus; a result is relevant when it has the query's intent. */
async function measure(data: IntentData, collection: CollectionClient): Promise<Found> {
  const quality = await measureSearch(
    collection,
    data,
    data.test.map(({ text }) => text),
  );
  return { "R@1": quality["R@1"], "P@10": quality["P@10"] };
}

function labels(data: IntentData, positions: Iterable<number>): { item: string; label: string }[] {
  return Array.from(positions, (i) => ({ item: corpusId(i), label: data.train[i]?.intent ?? "" }));
}

function someOfEach({ train }: IntentData, count: number, random: Random): number[] {
  const taken = new Map<string, number>();
  return random.shuffle([...train.keys()]).filter((i) => {
    const intent = train[i]?.intent ?? "";
    const before = taken.get(intent) ?? 0;
    taken.set(intent, before + 1);
    return before < count;
  });
}

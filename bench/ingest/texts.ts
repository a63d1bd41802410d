import type { AttuneClient, ItemToSend } from "../../src/client/index.js";
import { percentile } from "../support/percentile.js";
import type { Report, Row } from "../support/report.js";
import { BareEncoder } from "./bare-encoder.js";
import { insertWith } from "./insert-with.js";

export interface TextSettings {
  /** Sizes of a request. */
  batches: number[];
  /** Numbers of requests at the same time. */
  clients: number[];
  repeats: number;
}

/** What warms the server's encoder up. */
const WARM_UP = 2048;

/** One insert of all texts, and the encoder by itself just before. */
interface Pair {
  bare: number;
  acknowledged: number;
  indexed: number;
  lagS: number;
}

/**
 * Durable inserts of texts beside what the encoder does with the same texts by itself, in turns, so that what slows the machine for a
 * while slows both. No embedding is kept from an earlier turn: items are always encoded, and a collection is deleted before the next.
 */
export async function measureTexts(
  client: AttuneClient,
  items: readonly ItemToSend[],
  { batches, clients, repeats }: TextSettings,
  report: Report,
): Promise<void> {
  const texts = items.map(({ text = "" }) => text);
  const bare = await BareEncoder.open();
  try {
    const ways = await bare.choose(texts);
    report.table(
      `the encoder by itself, ${texts.length} texts; the fastest is what inserts are compared with`,
      ways.map(({ name, rate }) => ({ "use-lite": name, "texts/s": rate })),
    );
    // Holds the server's encoder open from one collection to the next.
    const { collection: keeper } = await client.createCollection("keeper", { modality: "text" });
    await insertWith(keeper, items.slice(0, WARM_UP), 256, 4);
    const settings = batches.flatMap((batch) => clients.map((many) => ({ batch, clients: many })));
    const pairs = new Map(settings.map((each) => [each, [] as Pair[]]));
    for (let round = 0; round < repeats; round++) {
      for (const [each, found] of pairs) found.push(await measurePair(client, bare, items, texts, each));
    }
    const rows = [...pairs].map(([each, found]): Row => {
      const middle = (of: (pair: Pair) => number) =>
        percentile(
          found.map(of).sort((a, b) => a - b),
          0.5,
        );
      return {
        batch: each.batch,
        clients: each.clients,
        "acknowledged/s": middle(({ acknowledged }) => acknowledged),
        "bare encoder/s": middle((pair) => pair.bare),
        "of the bare encoder's rate": middle((pair) => pair.acknowledged / pair.bare),
        "searchable in graph/s": middle(({ indexed }) => indexed),
        "s to zero lag after the last": middle(({ lagS }) => lagS),
      };
    });
    report.table(`inserts of ${texts.length} texts, use-lite, in turns with the encoder by itself`, rows);
    await keeper.delete();
  } finally {
    await bare.close();
  }
}

async function measurePair(
  client: AttuneClient,
  bare: BareEncoder,
  items: readonly ItemToSend[],
  texts: readonly string[],
  { batch, clients }: { batch: number; clients: number },
): Promise<Pair> {
  const rate = await bare.rate(texts);
  const { collection } = await client.createCollection("texts", { modality: "text" });
  const { acknowledgedMs, indexedMs } = await insertWith(collection, items, batch, clients);
  await collection.delete();
  return {
    bare: rate,
    acknowledged: (texts.length * 1000) / acknowledgedMs,
    indexed: (texts.length * 1000) / indexedMs,
    lagS: (indexedMs - acknowledgedMs) / 1000,
  };
}

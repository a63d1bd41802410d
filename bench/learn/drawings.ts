import path from "node:path";
import type { CollectionClient, FineTuneOptions } from "../../src/client/index.js";
import { Random } from "../../src/vector/index.js";
import { insertAll } from "../support/corpus.js";
import type { Drawing } from "../support/omniglot.js";
import { rawPixels } from "./raw-pixels.js";
import { type Found, type Setting, withServer } from "./setting.js";

const COLLECTION = "drawings";
const BATCH = 200;

/** Drawings of characters as a collection, and the ways of learning from it. */
export async function drawingSettings(drawings: readonly Drawing[], directory: string): Promise<Setting[]> {
  const prepared = path.join(directory, COLLECTION);
  const characters = [...new Set(drawings.map(({ character }) => character))];
  // The same half in every run: which characters are seen is part of the setting, not of the seed.
  const seen = new Set(new Random(1).shuffle([...characters]).slice(0, Math.floor(characters.length / 2)));
  const half = ({ character }: Drawing) => (seen.has(character) ? "seen" : "unseen");
  const unseen = drawings.filter((drawing) => half(drawing) === "unseen");
  const untrained = await withServer(prepared, async (client) => {
    const { collection } = await client.createCollection(COLLECTION, { modality: "image" });
    const items = drawings.map((drawing) => ({
      id: drawing.id,
      image: drawing.png,
      payload: { character: drawing.character, half: half(drawing) },
    }));
    await insertAll(collection, items);
    return { all: await leaveOneOut(collection, drawings), unseen: await leaveOneOut(collection, unseen, "unseen") };
  });
  const encoder: FineTuneOptions = { scope: "encoder", loss: "info-nce", epochs: 32 };
  return [
    {
      prepared,
      collection: COLLECTION,
      name: "images, no labels: augmentation",
      goal: "R@1 .70 within 20 minutes",
      options: { ...encoder, source: "augmentation" },
      untrained: () => Promise.resolve(untrained.all),
      rawPixels: await rawPixels(drawings),
      feedback: () => Promise.resolve({}),
      measure: (collection) => leaveOneOut(collection, drawings),
    },
    {
      prepared,
      collection: COLLECTION,
      name: "images, half of the characters labelled; the other half measured",
      goal: "R@1 .85",
      options: { ...encoder, source: "both" },
      untrained: () => Promise.resolve(untrained.unseen),
      rawPixels: await rawPixels(unseen),
      feedback: () =>
        Promise.resolve({
          labels: drawings
            .filter((drawing) => half(drawing) === "seen")
            .map(({ id, character }) => ({ item: id, label: character })),
        }),
      measure: (collection) => leaveOneOut(collection, unseen, "unseen"),
    },
  ];
}

/** Share of drawings whose nearest other drawing (among those of one half, where given) is of the same character. */
async function leaveOneOut(
  collection: CollectionClient,
  drawings: readonly Drawing[],
  half?: "seen" | "unseen",
): Promise<Found> {
  let right = 0;
  for (let i = 0; i < drawings.length; i += BATCH) {
    const part = drawings.slice(i, i + BATCH);
    const filter = half === undefined ? {} : { filter: { must: [{ key: "half", equals: half }] } };
    const { results } = await collection.queryBatch(
      part.map(({ id }) => ({ itemId: id, k: 1, exact: true, ...filter })),
    );
    right += part.filter(({ character }, q) => results[q]?.[0]?.payload?.character === character).length;
  }
  return { "R@1": right / drawings.length };
}

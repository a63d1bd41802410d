import type { CollectionClient } from "../client/index.js";
import { Random } from "../vector/index.js";
import type { Emoji } from "./emoji.js";

/** Smaller subgroups have no ten members to be found. */
const MIN_SUBGROUP = 11;
const NEAREST = 30;
const BATCH = 200;

/** Emoji that feedback may speak about, and emoji that it never touches: only these judge the result. */
export interface Split {
  asked: Emoji[];
  heldOut: Emoji[];
}

/** Half of each subgroup of at least eleven is held out. */
export function splitEmoji(emoji: readonly Emoji[], seed: number): Split {
  const bySubgroup = new Map<string, Emoji[]>();
  for (const entry of emoji) bySubgroup.set(entry.subgroup, [...(bySubgroup.get(entry.subgroup) ?? []), entry]);
  const random = new Random(seed);
  const split: Split = { asked: [], heldOut: [] };
  for (const members of bySubgroup.values()) {
    if (members.length < MIN_SUBGROUP) continue;
    const shuffled = random.shuffle([...members]);
    split.heldOut.push(...shuffled.splice(0, Math.floor(members.length / 2)));
    split.asked.push(...shuffled);
  }
  return split;
}

export interface Opinion {
  anchor: string;
  positive: string;
  negative: string;
}

/**
 * What a person would say who looks at search results: "this one belongs with it" of another emoji of the subgroup, and
 * "that one does not" of the emoji that the search puts nearest although it is of another subgroup.
 */
export async function gatherOpinions(
  collection: CollectionClient,
  asked: readonly Emoji[],
  count: number,
  seed: number,
): Promise<Opinion[]> {
  const random = new Random(seed);
  const byId = new Map(asked.map((entry) => [entry.id, entry]));
  const anchors = Array.from({ length: count }, () => asked[random.integer(asked.length)]).filter(
    (entry) => entry !== undefined,
  );
  const opinions: Opinion[] = [];
  for (let i = 0; i < anchors.length; i += BATCH) {
    const batch = anchors.slice(i, i + BATCH);
    const queries = batch.map(({ id }) => ({ itemId: id, k: NEAREST, withPayload: false }));
    const { results } = await collection.queryBatch(queries);
    for (const [j, anchor] of batch.entries()) {
      const positives = asked.filter((other) => other.subgroup === anchor.subgroup && other.id !== anchor.id);
      const positive = positives[random.integer(Math.max(1, positives.length))];
      const near = (results[j] ?? []).flatMap(({ id }) => byId.get(id) ?? []);
      const negative = near.find((other) => other.subgroup !== anchor.subgroup);
      if (positive === undefined || negative === undefined) continue;
      opinions.push({ anchor: anchor.id, positive: positive.id, negative: negative.id });
    }
  }
  return opinions;
}

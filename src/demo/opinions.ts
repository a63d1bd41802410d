import type { CollectionClient } from "../client/index.js";
import { Random } from "../vector/index.js";
import type { Emoji } from "./emoji.js";

/** Smaller subgroups have no ten members to be found. */
const MIN_SUBGROUP = 11;
/** "flag: Peru", "flag: Chad": no search needs help with these, and they would polish the figures. */
const TOO_EASY = "flags";
/** How far down a list of results people look. */
const LOOK = 100;
const CORRECTIONS_PER_LIST = 2;
const BATCH = 200;

/** Emoji that feedback may speak about, and emoji that it never touches: only these judge the result. */
export interface Split {
  asked: Emoji[];
  heldOut: Emoji[];
}

/** Half of each subgroup of at least eleven is held out; flags take no part. */
export function splitEmoji(emoji: readonly Emoji[], seed: number): Split {
  const bySubgroup = new Map<string, Emoji[]>();
  for (const entry of emoji) {
    if (entry.group !== TOO_EASY) bySubgroup.set(entry.subgroup, [...(bySubgroup.get(entry.subgroup) ?? []), entry]);
  }
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

/** "For the anchor, the positive should have come before the negative." */
export interface Correction {
  anchor: string;
  positive: string;
  negative: string;
}

/**
 * What people would say who look at the results for each emoji and see one of its own kind below one of another kind:
 * the first such cases of each list.
 */
export async function gatherCorrections(collection: CollectionClient, asked: readonly Emoji[]): Promise<Correction[]> {
  const byId = new Map(asked.map((entry) => [entry.id, entry]));
  const corrections: Correction[] = [];
  for (let i = 0; i < asked.length; i += BATCH) {
    const anchors = asked.slice(i, i + BATCH);
    const queries = anchors.map(({ id }) => ({ itemId: id, k: LOOK, withPayload: false }));
    const { results } = await collection.queryBatch(queries);
    for (const [j, anchor] of anchors.entries()) {
      const seen = (results[j] ?? []).flatMap(({ id }) => byId.get(id) ?? []);
      corrections.push(...correctList(anchor, seen));
    }
  }
  return corrections;
}

function correctList(anchor: Emoji, seen: readonly Emoji[]): Correction[] {
  const firstWrong = seen.findIndex(({ subgroup }) => subgroup !== anchor.subgroup);
  const wrong = seen[firstWrong];
  if (wrong === undefined) return [];
  return seen
    .slice(firstWrong + 1)
    .filter(({ subgroup }) => subgroup === anchor.subgroup)
    .slice(0, CORRECTIONS_PER_LIST)
    .map(({ id }) => ({ anchor: anchor.id, positive: id, negative: wrong.id }));
}

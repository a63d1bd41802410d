import { createRequire } from "node:module";
import type { ItemToSend } from "../client/index.js";

const require = createRequire(import.meta.url);

export interface Emoji {
  /** The code points, for example `1F382`. */
  id: string;
  emoji: string;
  /** Label and tags: what the encoder reads. */
  text: string;
  label: string;
  group: string;
  /** What people see as one kind: "marine life", "musical instruments" ... */
  subgroup: string;
}

interface Entry {
  label: string;
  hexcode: string;
  tags?: string[];
  emoji: string;
  group?: number;
  subgroup?: number;
}

interface Messages {
  groups: { message: string; order: number }[];
  subgroups: { message: string; order: number }[];
}

/** Skin tones and hair: parts of emoji, not emoji. */
const COMPONENT_GROUP = 2;

/** The emoji of `emojibase-data` (MIT) that have a group and a subgroup: about 1,900. */
export function loadEmoji(): Emoji[] {
  const entries = require("emojibase-data/en/data.json") as Entry[];
  const { groups, subgroups } = require("emojibase-data/en/messages.json") as Messages;
  const nameOf = (names: Messages["groups"], order: number) => names.find((name) => name.order === order)?.message;
  return entries.flatMap(({ label, hexcode, tags = [], emoji, group, subgroup }): Emoji[] => {
    if (group === undefined || subgroup === undefined || group === COMPONENT_GROUP) return [];
    const names = { group: nameOf(groups, group) ?? "", subgroup: nameOf(subgroups, subgroup) ?? "" };
    return [{ id: hexcode, emoji, text: [label, ...tags].join(", "), label, ...names }];
  });
}

/** As an item: the text is embedded, the rest is payload. */
export function emojiItem({ id, text, emoji, label, group, subgroup }: Emoji): ItemToSend {
  return { id, text, payload: { emoji, label, group, subgroup } };
}

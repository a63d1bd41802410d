import type { ItemRecord } from "../../storage/index.js";

export const DIMENSIONS = 48;

/** What the crash test stores for a label: a function of the label, so that the reader knows it without having written it. */
export function crashItem(label: number): ItemRecord {
  return {
    label,
    sequence: label + 1,
    contentSequence: label + 1,
    text: `text of ${label} `.repeat(1 + (label % 7)),
    payload: { half: label / 2 },
  };
}

export function crashRow(label: number): number[] {
  return Array.from({ length: DIMENSIONS }, (_, i) => label + i / 64);
}

import { padDisplay } from "../cli/terminal/display-width.js";
import { formatDifference, formatDuration } from "../cli/terminal/format.js";
import { renderTable } from "../cli/terminal/table.js";
import type { Hit } from "../client/index.js";
import type { Quality } from "./quality.js";

/** Bold on a terminal, plain elsewhere. */
export function heading(text: string): string {
  return process.stdout.isTTY === true ? `\n\x1b[1m${text}\x1b[0m` : `\n${text}`;
}

/** Results with their emoji, label, subgroup and score. */
export function renderHits(hits: readonly Hit[]): string {
  const field = (hit: Hit, name: string) => String(hit.payload?.[name] ?? "");
  return hits
    .map((hit, i) => {
      const place = String(i + 1).padStart(2);
      // The emoji stands last but one tab stop, for terminals disagree about how wide some of them are.
      return `  ${place}  ${hit.score.toFixed(3)}  ${padDisplay(field(hit, "label"), 34)} ${padDisplay(field(hit, "subgroup"), 24)} ${field(hit, "emoji")}`;
    })
    .join("\n");
}

/** The figures on held-out emoji. */
export function renderQuality(before: Quality, after: Quality): string {
  const columns = [
    { title: "searching for each held-out emoji" },
    { title: "before", align: "right" },
    { title: "after", align: "right" },
    { title: "change", align: "right" },
  ] as const;
  const row = (title: string, name: keyof Quality) => [
    title,
    before[name].toFixed(3),
    after[name].toFixed(3),
    formatDifference(after[name] - before[name]),
  ];
  return renderTable(columns, [
    row("nearest is of its subgroup (R@1)", "recallAt1"),
    row("share of its subgroup in the top 10 (P@10)", "precisionAt10"),
    row("mean reciprocal rank (MRR@10)", "mrrAt10"),
  ]);
}

/** "1,914 emoji in 3.2 s". */
export function took(what: string, startedAt: number): string {
  return `${what} in ${formatDuration(performance.now() - startedAt)}`;
}

/** What to try next; each line works as it stands. */
export function renderTries(address: string): string {
  const json = `-H 'content-type: application/json'`;
  return [
    `curl -s ${address}/v1/collections/emoji/query ${json} -d '{"text": "something to eat at a birthday", "k": 5}'`,
    `curl -s ${address}/v1/collections/emoji/feedback ${json} -d '{"pairs": [{"a": "1F382", "b": "1F389", "label": "similar"}]}'`,
    `curl -s ${address}/v1/collections/emoji/generations`,
  ]
    .map((line) => `  ${line}`)
    .join("\n");
}

import type { Job } from "../../client/index.js";
import { truncateDisplay } from "./display-width.js";
import { formatBytes, formatCount, formatDuration } from "./format.js";
import { renderMetrics } from "./metrics-table.js";
import { renderTable } from "./table.js";

type Metrics = NonNullable<Job["metrics"]>;
type Anchor = NonNullable<Metrics["better"]>[number];

/** Labels shown of those that gained and of those that lost. */
const LABELS = 5;
/** Columns of a name. */
const NAME_WIDTH = 48;

/** All that a fine-tune found, for a terminal: what it trained with, before and after, what got better and worse, and what became of it. */
export function renderReport(job: Job): string {
  const { metrics } = job;
  const parts = [renderTraining(job), renderTried(job)];
  if (metrics !== undefined) {
    parts.push(renderMetrics(metrics), renderLabels(metrics));
    parts.push(renderAnchors("got better", metrics.better), renderAnchors("got worse", metrics.worse));
  }
  parts.push(outcomeOf(job));
  return parts.filter((part) => part !== "").join("\n\n");
}

/** What a plan says before the first step. */
export function describePlan({ steps, parameters, parts, memoryBytes, provider }: NonNullable<Job["plan"]>): string {
  const split = parts > 1 ? `, each batch in ${parts} parts` : "";
  return `plan: up to ${formatCount(steps)} steps over ${formatCount(parameters)} parameters on ${provider}${split}, about ${formatBytes(memoryBytes)} of memory`;
}

function renderTraining({ recipe, plan, peakMemoryBytes, timings }: Job): string {
  const lines: string[] = [];
  if (recipe !== undefined) {
    const { loss, ...numbers } = recipe;
    const settings = Object.entries(numbers).map(([name, value]) => `${spaced(name)} ${Number(value.toPrecision(3))}`);
    lines.push(`trained with: ${[loss, ...settings].join(", ")}`);
  }
  if (plan !== undefined) {
    const measured = peakMemoryBytes === undefined ? "" : `, ${formatBytes(peakMemoryBytes)} measured`;
    lines.push(`${describePlan(plan)}${measured}`);
  }
  const { totalMs } = timings;
  if (recipe !== undefined && totalMs !== undefined) lines.push(`took ${formatDuration(totalMs)}`);
  return lines.join("\n");
}

function renderTried({ tried = [] }: Job): string {
  if (tried.length === 0) return "";
  const columns = [
    { title: "recipe tried" },
    { title: "learning rate", align: "right" },
    { title: "gain on validation", align: "right" },
  ] as const;
  const best = [...tried].sort((a, b) => b.validation - a.validation);
  const rows = best.map(({ loss, learningRate, validation }) => [loss, String(learningRate), validation.toFixed(3)]);
  return renderTable(columns, rows);
}

function renderLabels({ labels = [], judgedBy }: Metrics): string {
  const sign = judgedBy === "dissimilar" ? -1 : 1;
  const gains = labels
    .map((label) => ({ ...label, gain: sign * (label.before - label.after) }))
    .sort((a, b) => b.gain - a.gain);
  const shown = new Set([
    ...gains.slice(0, LABELS).filter(({ gain }) => gain > 0),
    ...gains.slice(-LABELS).filter(({ gain }) => gain < 0),
  ]);
  if (shown.size === 0) return "";
  const columns = [
    { title: "labels that changed most" },
    { title: "anchors", align: "right" },
    { title: "rank before", align: "right" },
    { title: "after", align: "right" },
  ] as const;
  const rows = [...shown].map(({ label, anchors, before, after }) => [
    truncateDisplay(label, NAME_WIDTH),
    formatCount(anchors),
    rank(before),
    rank(after),
  ]);
  return renderTable(columns, rows);
}

function renderAnchors(title: string, anchors: readonly Anchor[] = []): string {
  if (anchors.length === 0) return "";
  const columns = [{ title }, { title: "rank before", align: "right" }, { title: "after", align: "right" }] as const;
  const rows = anchors.map(({ anchor, before, after }) => [nameOf(anchor), rank(before), rank(after)]);
  return renderTable(columns, rows);
}

/** A mean of logarithms of ranks as a rank. */
function rank(logRank: number): string {
  const value = Math.exp(logRank);
  return value < 99.95 ? value.toFixed(1) : formatCount(value);
}

function nameOf(anchor: Anchor["anchor"]): string {
  const name =
    typeof anchor === "string"
      ? anchor
      : "text" in anchor
        ? JSON.stringify(anchor.text)
        : "image" in anchor
          ? `image ${anchor.image.hash.slice(0, 12)}`
          : "a vector";
  return truncateDisplay(name.replace(/\s+/g, " "), NAME_WIDTH);
}

function outcomeOf({ status, generation, options, id, resumable, kind }: Job): string {
  if (status === "promoted") return `promoted: generation ${generation} is active`;
  if (status === "ready" && options.dryRun === true) return "dry run: the gate would let it through; nothing was kept";
  if (status === "rejected" && options.dryRun === true) return "dry run: the gate would turn it down; nothing was kept";
  if (status === "ready") return `kept as generation ${generation}, not active: attune generations activate`;
  if (resumable === true && kind === "fine-tune") return `cut off; attune tune --resume ${id} goes on with it`;
  return "";
}

/** "learningRate" as "learning rate". */
function spaced(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

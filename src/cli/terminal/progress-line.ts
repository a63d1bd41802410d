import { truncateDisplay } from "./display-width.js";
import { formatCount, formatDuration, formatRate } from "./format.js";

export interface ProgressState {
  label: string;
  /** How many are done. */
  count: number;
  /** How many there will be, when that is known. */
  total?: number;
  /** Done part, 0 to 1, when it is known otherwise than by count and total (bytes of a file). */
  fraction?: number;
  /** What is counted, for example "items". */
  unit: string;
  /** Units a second. */
  rate?: number;
  etaMs?: number;
  note?: string;
}

const BAR_CELLS = 24;

/** One line for a terminal: label, bar, percentage, count, rate, time left; cut to the given columns. */
export function renderProgress(state: ProgressState, columns: number): string {
  const fraction = fractionOf(state);
  const bar = fraction === undefined ? [] : [drawBar(fraction), `${Math.floor(fraction * 100)}%`.padStart(4)];
  return truncateDisplay([state.label, ...bar, ...figures(state)].join("  "), columns);
}

/** The same without a bar, for a log file. */
export function describeProgress(state: ProgressState): string {
  const fraction = fractionOf(state);
  const share = fraction === undefined ? [] : [`${Math.floor(fraction * 100)}%`];
  return `${state.label}: ${[...share, ...figures(state)].join(", ")}`;
}

function fractionOf(state: ProgressState): number | undefined {
  const fraction = state.fraction ?? (state.total === undefined ? undefined : state.count / Math.max(1, state.total));
  return fraction === undefined ? undefined : Math.min(1, Math.max(0, fraction));
}

function drawBar(fraction: number): string {
  const filled = Math.round(fraction * BAR_CELLS);
  return "█".repeat(filled) + "░".repeat(BAR_CELLS - filled);
}

function figures(state: ProgressState): string[] {
  const of = state.total === undefined ? "" : ` of ${formatCount(state.total)}`;
  const parts = [`${formatCount(state.count)}${of} ${state.unit}`];
  if (state.rate !== undefined) parts.push(formatRate(state.rate));
  if (state.etaMs !== undefined && state.etaMs > 0) parts.push(`${formatDuration(state.etaMs)} left`);
  if (state.note !== undefined && state.note !== "") parts.push(state.note);
  return parts;
}

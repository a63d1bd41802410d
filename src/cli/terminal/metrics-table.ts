import type { Job } from "../../client/index.js";
import { formatDifference } from "./format.js";
import { renderTable } from "./table.js";

type Metrics = NonNullable<Job["metrics"]>;

/** The figures of a fine-tune before and after, and what the gate judged by. */
export function renderMetrics(metrics: Metrics): string {
  const columns = [
    { title: "held-out feedback" },
    { title: "before", align: "right" },
    { title: "after", align: "right" },
    { title: "change", align: "right" },
  ] as const;
  const rows = Object.keys(metrics.before).map((name) => {
    const [before, after] = [metrics.before[name] ?? Number.NaN, metrics.after[name] ?? Number.NaN];
    return [name, before.toFixed(3), after.toFixed(3), formatDifference(after - before)];
  });
  const { mean, low, high } = metrics.improvement;
  const verdict =
    `improvement of the positives' log rank: ${mean.toFixed(3)} (90% interval ${low.toFixed(3)} to ${high.toFixed(3)}); ` +
    `drift: ${(metrics.drift * 100).toFixed(0)}% of neighbours changed`;
  return `${renderTable(columns, rows)}\n${verdict}`;
}

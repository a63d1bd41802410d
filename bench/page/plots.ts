import type { BenchResult, Row } from "../support/report.js";
import type { LinePlot, Point, Series } from "./line-plot.js";

/** A plot for each table that has systems, recalls and queries a second; a line for each system and number of callers. */
export function recallPlots(results: readonly BenchResult[]): LinePlot[] {
  return results
    .flatMap(({ tables }) => tables)
    .flatMap(({ title, rows }) => {
      const recall = Object.keys(rows[0] ?? {}).find((name) => name.startsWith("recall@"));
      if (recall === undefined) return [];
      const series = grouped(rows, nameOfSystem, (row) => pointOf(row, recall, "QPS", row.efSearch));
      if (series.length === 0) return [];
      return [
        {
          title,
          x: { label: `${recall} (at the points: efSearch)`, scale: "linear" },
          y: { label: "queries a second", scale: "log" },
          series,
        },
      ];
    });
}

function nameOfSystem({ system, callers }: Row): string {
  return callers === undefined ? String(system) : `${system}, ${callers} ${callers === 1 ? "caller" : "callers"}`;
}

/** Seconds from a request to its results, against the number of items; rows of all results together. */
export function feedbackToLivePlots(results: readonly BenchResult[]): LinePlot[] {
  const rows = results.flatMap(({ tables }) => tables).flatMap((table) => table.rows);
  const lines = [
    { name: "improved results served", column: "served s" },
    { name: "graph built anew as well", column: "rebuilt s" },
  ];
  const series = lines.flatMap(({ name, column }) =>
    grouped(
      rows,
      () => name,
      (row) => pointOf(row, "items", column),
    ),
  );
  if (series.length === 0) return [];
  return [
    {
      title: "From the request of a fine-tune to its results",
      x: { label: "items", scale: "log" },
      y: { label: "seconds", scale: "log" },
      series,
    },
  ];
}

/** Rows as lines of points from left to right; rows that have no such point are left out. */
function grouped(
  rows: readonly Row[],
  nameOf: (row: Row) => string,
  toPoint: (row: Row) => Point | undefined,
): Series[] {
  const groups = new Map<string, Point[]>();
  for (const row of rows) {
    const point = toPoint(row);
    if (point !== undefined) groups.set(nameOf(row), [...(groups.get(nameOf(row)) ?? []), point]);
  }
  return [...groups].map(([name, points]) => ({ name, points: points.sort((a, b) => a.x - b.x) }));
}

function pointOf(row: Row, x: string, y: string, label?: Row[string]): Point | undefined {
  const [across, up] = [row[x], row[y]];
  if (typeof across !== "number" || typeof up !== "number") return undefined;
  return { x: across, y: up, label: label === undefined ? undefined : String(label) };
}

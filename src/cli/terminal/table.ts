import { displayWidth, padDisplay } from "./display-width.js";

export interface Column {
  title: string;
  /** @default "left" */
  align?: "left" | "right";
}

/** Lines of a plain table: titles, a rule, the rows; columns are two spaces apart. */
export function renderTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const widths = columns.map((column, i) =>
    Math.max(...[column.title, ...rows.map((row) => row[i] ?? "")].map(displayWidth)),
  );
  const line = (cells: readonly string[]) =>
    columns
      .map((column, i) => padDisplay(cells[i] ?? "", widths[i] ?? 0, column.align === "right" ? "left" : "right"))
      .join("  ")
      .trimEnd();
  const rule = widths.map((width) => "-".repeat(width)).join("  ");
  return [line(columns.map((column) => column.title)), rule, ...rows.map(line)].join("\n");
}

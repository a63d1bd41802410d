import { writeFileSync } from "node:fs";
import { renderTable } from "../../src/cli/terminal/table.js";
import { describeMachine, type Machine, machineLine } from "./machine.js";

type Cell = number | string | boolean | undefined;
export type Row = Record<string, Cell>;

export interface Table {
  title: string;
  rows: Row[];
}

/** What `--json FILE` holds. */
export interface BenchResult {
  bench: string;
  /** When it was measured, ISO 8601. */
  at: string;
  machine: Machine;
  options: Record<string, unknown>;
  tables: Table[];
}

/** Prints results as tables, as they come, and keeps them for `--json FILE`. */
export class Report {
  readonly #bench: string;
  readonly #options: Record<string, unknown>;
  readonly #tables: Table[] = [];
  readonly #machine = describeMachine();

  constructor(bench: string, options: Record<string, unknown>) {
    this.#bench = bench;
    this.#options = options;
    const shown = Object.entries(options).filter(([name, value]) => name !== "json" && value !== undefined);
    console.log(`bench ${bench}: ${shown.map(([name, value]) => `${name} ${String(value)}`).join(", ")}`);
    console.log(`machine: ${machineLine(this.#machine)}\n`);
  }

  /** A line on the way, for what takes long. */
  note(text: string): void {
    process.stderr.write(`  ${text}\n`);
  }

  /** A table whose columns are the fields of the first row. */
  table(title: string, rows: Row[]): void {
    this.#tables.push({ title, rows });
    const names = Object.keys(rows[0] ?? {});
    const columns = names.map((name) => ({
      title: name,
      align: rows.every((row) => typeof row[name] !== "string") ? ("right" as const) : ("left" as const),
    }));
    const cells = rows.map((row) => names.map((name) => formatCell(row[name])));
    console.log(`${title}\n${renderTable(columns, cells)}\n`);
  }

  /** Writes everything as JSON when a file was asked for. */
  save(file: string | undefined): void {
    if (file === undefined) return;
    const { json: _json, ...options } = this.#options;
    const result: BenchResult = {
      bench: this.#bench,
      at: new Date().toISOString(),
      machine: this.#machine,
      options,
      tables: this.#tables,
    };
    writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`);
  }
}

/** A cell for people: four digits after the point below 10, one up to 1,000, none above; `-` for what is missing. */
export function formatCell(value: Cell): string {
  if (value === undefined) return "-";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value) || Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en-US");
  return Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(4);
}

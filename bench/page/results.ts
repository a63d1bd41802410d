import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import type { BenchResult } from "../support/report.js";

/**
 * The results kept in a folder, by file name: what the benchmarks wrote with `--json`. None when there is no folder.
 * @throws Error for a file that is no result, or one of a run that was only to show that the benchmark works.
 */
export function readResults(directory: string): BenchResult[] {
  if (!existsSync(directory)) return [];
  const files = readdirSync(directory).filter((file) => file.endsWith(".json"));
  return files.sort().map((file) => readResult(path.join(directory, file)));
}

function readResult(file: string): BenchResult {
  const result = JSON.parse(readFileSync(file, "utf8")) as Partial<BenchResult>;
  const { bench, at, machine, options, tables } = result;
  if (bench === undefined || at === undefined || machine === undefined || options === undefined || !tables?.length) {
    throw new Error(`${file} is no result of a benchmark: expected bench, at, machine, options and tables`);
  }
  if (options.smoke === true) throw new Error(`${file} was made with --smoke, whose figures mean nothing: remove it`);
  return { bench, at, machine, options, tables };
}

/** The command line that measures the same again. */
export function commandOf({ bench, options }: BenchResult): string {
  const words = Object.entries(options).flatMap(([name, value]) => {
    if (value === undefined || value === false) return [];
    return value === true
      ? [`--${name}`]
      : [`--${name}`, quoted(Array.isArray(value) ? value.join(",") : String(value))];
  });
  return ["npm run bench --", bench, ...words].join(" ");
}

function quoted(word: string): string {
  return /^[\w.,:/@-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

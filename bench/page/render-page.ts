import { machineLine } from "../support/machine.js";
import { type BenchResult, formatCell, type Table } from "../support/report.js";
import { drawLinePlot } from "./line-plot.js";
import { commandOf } from "./results.js";
import { SECTIONS, type Section } from "./sections.js";

/** The page in Markdown, and the plots that it shows, by file name. */
export interface Page {
  markdown: string;
  plots: Map<string, string>;
}

const INTRODUCTION = `# Benchmarks

What was measured, on what, and by which command. The script \`npm run bench -- page\` makes this page from the results kept in
\`bench/results/\`; nothing in it is written by hand. Figures of one table come from one run, so that they can be compared; figures
of different machines or days cannot. \`npm run bench -- NAME --help\` explains a benchmark's options, and \`--json
bench/results/NAME.json\` keeps what it finds for this page.`;

/**
 * Renders all sections; one whose benchmark has no result says how to get it.
 * @param images folder of the plots as the page refers to it.
 * @throws Error for a result of a benchmark that has no section.
 */
export function renderPage(results: readonly BenchResult[], images: string): Page {
  const homeless = results.find(({ bench }) => SECTIONS.every((section) => section.bench !== bench));
  if (homeless !== undefined) throw new Error(`a result of "${homeless.bench}", which has no section on the page`);
  const plots = new Map<string, string>();
  const sections = SECTIONS.map((section) => {
    const own = results.filter(({ bench }) => bench === section.bench);
    const shown = (section.plots?.(own) ?? []).map((plot, i) => {
      const file = `${section.bench}${i === 0 ? "" : `-${i + 1}`}.svg`;
      plots.set(file, drawLinePlot(plot));
      return `![${plot.title}](${images}/${file})`;
    });
    return renderSection(section, own, shown);
  });
  return { markdown: `${[INTRODUCTION, ...sections].join("\n\n")}\n`, plots };
}

function renderSection(
  { bench, title, about, goal }: Section,
  results: readonly BenchResult[],
  plots: string[],
): string {
  const missing = `No result is kept; \`npm run bench -- ${bench} --json bench/results/${bench}.json\` measures it.`;
  const head = [`## ${title}`, about, ...(goal === undefined ? [] : [`Goal: ${goal}`])];
  return [...head, ...plots, ...(results.length === 0 ? [missing] : results.flatMap(renderResult))].join("\n\n");
}

function renderResult(result: BenchResult): string[] {
  const measured = `Measured ${result.at.slice(0, 10)} on ${machineLine(result.machine)}:`;
  return [measured, `\`\`\`sh\n${commandOf(result)}\n\`\`\``, ...result.tables.map(renderTable)];
}

/** The columns are the fields of all rows; numbers stand at the right. */
function renderTable({ title, rows }: Table): string {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const isText = (name: string) => rows.some((row) => typeof row[name] === "string");
  const line = (cells: string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [
    `**${title}**\n`,
    line(names),
    `|${names.map((name) => (isText(name) ? " --- |" : " ---: |")).join("")}`,
    ...rows.map((row) => line(names.map((name) => formatCell(row[name])))),
  ].join("\n");
}

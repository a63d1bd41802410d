import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { renderPage } from "./page/render-page.js";
import { readResults } from "./page/results.js";

const HELP = `Makes docs/benchmarks.md and its plots from the results kept in bench/results/*.json.

  --root           folder of the project (default: where this is)
`;
const IMAGES = "images/benchmarks";

const here = fileURLToPath(new URL("../../", import.meta.url));
const { values } = parseArgs({ options: { root: { type: "string", default: here }, help: { type: "boolean" } } });
if (values.help === true) process.stdout.write(HELP);
else writePage(values.root);

/** Plots of an earlier page are removed, as the results may have fewer now. */
function writePage(root: string): void {
  const { markdown, plots } = renderPage(readResults(path.join(root, "bench/results")), IMAGES);
  const images = path.join(root, "docs", IMAGES);
  rmSync(images, { recursive: true, force: true });
  mkdirSync(images, { recursive: true });
  for (const [file, svg] of plots) writeFileSync(path.join(images, file), svg);
  writeFileSync(path.join(root, "docs/benchmarks.md"), markdown);
  process.stdout.write(`docs/benchmarks.md and ${plots.size} plots are written\n`);
}

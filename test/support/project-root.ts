import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

function find(from: string): string {
  if (existsSync(join(from, "tsconfig.json"))) return from;
  const parent = dirname(from);
  if (parent === from) throw new Error("no tsconfig.json above the tests");
  return find(parent);
}

/** The folder of package.json and tsconfig.json, wherever the tests were compiled to. */
export const projectRoot = find(dirname(fileURLToPath(import.meta.url)));

/** Where the test data are: `ATTUNE_TEST_DATA`, else `../shared/data` beside the project. */
export const testData = process.env.ATTUNE_TEST_DATA ?? join(projectRoot, "..", "shared", "data");

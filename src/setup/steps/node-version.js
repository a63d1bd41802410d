import { readFileSync } from "node:fs";
import path from "node:path";
import { SetupError } from "../command.js";

/** Refuses a Node older than `engines.node` of package.json (">=MAJOR.MINOR.PATCH"). */
export function checkNodeVersion(root, version = process.versions.node) {
  const { engines } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));
  const wanted = engines.node.replace(/^>=\s*/, "");
  if (compareVersions(version, wanted) >= 0) return;
  throw new SetupError(
    `Node ${version} is too old: Attune needs Node ${wanted} or newer. Get it from https://nodejs.org`,
  );
}

/** Negative, 0 or positive, as a is older than, equal to or newer than b. */
export function compareVersions(a, b) {
  const [left, right] = [a, b].map((text) => text.split(/[.-]/).slice(0, 3).map(Number));
  for (let i = 0; i < 3; i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

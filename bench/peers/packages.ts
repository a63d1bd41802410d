import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { NotInstalled } from "./system.js";

/** The folder of the peers' own package.json, in the sources. */
const FOLDER = fileURLToPath(new URL("../../../bench/peers/", import.meta.url));
const require = createRequire(path.join(FOLDER, "package.json"));

/** Installs the npm packages of the peers beside their package.json, without touching the project's. */
export function installPackages(): void {
  const args = ["install", "--no-package-lock", "--no-audit", "--no-fund"];
  const { status } = spawnSync("npm", args, { cwd: FOLDER, stdio: "inherit" });
  if (status !== 0) throw new Error(`npm ${args.join(" ")} in ${FOLDER} ended with ${status}`);
}

/** A peer's package. @throws NotInstalled */
export function loadPackage<T>(name: string): T {
  try {
    return require(name) as T;
  } catch (error) {
    throw new NotInstalled(`${name}: ${error instanceof Error ? error.message.split("\n")[0] : error}; see --install`);
  }
}

/** Path of a file in a peer's package. @throws NotInstalled */
export function packageFile(name: string, file: string): string {
  const found = require.resolve.paths(name)?.map((folder) => path.join(folder, name, file)) ?? [];
  const existing = found.find((candidate) => existsSync(candidate));
  if (existing === undefined) throw new NotInstalled(`${name} is not installed; see --install`);
  return existing;
}

export function packageVersion(name: string): string {
  return (JSON.parse(readFileSync(packageFile(name, "package.json"), "utf8")) as { version: string }).version;
}

import { existsSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import { runCommand, SetupError, tail } from "../command.js";
import { fingerprint } from "../fingerprint.js";
import { readMarker, writeMarker } from "../marker.js";

const SOURCES = ["src", "storage", "schemas", "bench", "test", "tsconfig.json", "package-lock.json"];

/** `tsc` into dist/, when a source was added, changed or removed since. */
export const build = {
  title: "compiling TypeScript",
  staleReason(root) {
    const { fingerprint: built } = readMarker(path.join(root, "dist", ".attune-build.json"));
    if (built === undefined) return "not built yet";
    return built === fingerprint(root, SOURCES, ".ts") ? undefined : "sources changed";
  },
  async run(root) {
    const sources = fingerprint(root, SOURCES, ".ts");
    const next = path.join(root, "dist-next");
    rmSync(next, { recursive: true, force: true });
    const tsc = path.join(root, "node_modules", "typescript", "bin", "tsc");
    const args = [tsc, "-p", path.join(root, "tsconfig.json"), "--outDir", next, "--pretty", "false"];
    const { code, output } = await runCommand(process.execPath, args, { cwd: root });
    if (code !== 0) {
      rmSync(next, { recursive: true, force: true });
      throw new SetupError(`tsc found errors:\n${tail(output, 60)}`);
    }
    writeMarker(path.join(next, ".attune-build.json"), { fingerprint: sources });
    replace(path.join(root, "dist"), next);
  },
};

/** A whole new folder, so that outputs of removed sources go and a failed build leaves the old one. */
function replace(target, next) {
  const old = `${target}-old`;
  rmSync(old, { recursive: true, force: true });
  if (existsSync(target)) renameSync(target, old);
  renameSync(next, target);
  rmSync(old, { recursive: true, force: true });
}

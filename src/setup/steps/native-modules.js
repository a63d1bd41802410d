import path from "node:path";
import { runCommand, SetupError, tail } from "../command.js";
import { hashOfFile } from "../fingerprint.js";
import { readMarker, writeMarker } from "../marker.js";
import { COMPILER_HINT, markerFile, npmCommand, npmEnvironment } from "./packages.js";

export const NATIVE_MODULES = ["hnswlib-node", "classic-level", "onnxruntime-node"];

/** The packages with machine code must load in this Node: their install scripts may have been turned off, or Node changed since. */
export const nativeModules = {
  title: "checking native modules",
  staleReason(root) {
    const checked = readMarker(markerFile(root)).native;
    if (checked === nativeKey(root)) return undefined;
    return checked === undefined ? "not checked yet" : "Node or packages changed";
  },
  async run(root, progress) {
    for (const name of NATIVE_MODULES) {
      progress(name);
      const problem = await loadProblem(root, name);
      if (problem !== undefined) await repair(root, name, problem, progress);
    }
    writeMarker(markerFile(root), {
      packages: hashOfFile(path.join(root, "package-lock.json")),
      native: nativeKey(root),
    });
  },
};

function nativeKey(root) {
  const lock = hashOfFile(path.join(root, "package-lock.json"));
  return `${process.version} ${process.platform} ${process.arch} ${lock}`;
}

/** Loads the module in a process of its own, for a bad binary may end the process; undefined when it loads. */
async function loadProblem(root, name) {
  const script = `require(${JSON.stringify(name)})`;
  const { code, output } = await runCommand(process.execPath, ["-e", script], { cwd: root });
  return code === 0 ? undefined : output;
}

async function repair(root, name, problem, progress) {
  progress(`building ${name}`);
  const [file, ...args] = npmCommand();
  const rebuild = [...args, "rebuild", name, "--ignore-scripts=false", "--foreground-scripts"];
  const { code, output } = await runCommand(file, rebuild, { cwd: root, env: npmEnvironment() });
  const remaining = code === 0 ? await loadProblem(root, name) : output;
  if (remaining === undefined) return;
  throw new SetupError(
    `${name} does not load, and \`npm rebuild ${name}\` did not help.\n` +
      `  loading it said:\n${tail(problem, 8)}\n  after rebuilding:\n${tail(remaining, 20)}\n\n${hint(name)}`,
  );
}

function hint(name) {
  if (name === "hnswlib-node") return COMPILER_HINT;
  return `${name} ships ready-made binaries for common platforms; this is ${process.platform} ${process.arch}. Remove node_modules and try again.`;
}

import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { runCommand, SetupError, tail } from "../command.js";
import { readCpu } from "../cpu.js";
import { fingerprint, hashOfFile } from "../fingerprint.js";
import { chooseMarch } from "../march.js";
import { readMarker, writeMarker } from "../marker.js";
import { applyPatch, PatchError } from "../patch.js";
import { COMPILER_HINT, npmCommand, npmEnvironment } from "./packages.js";

const CHECK = path.resolve(import.meta.dirname, "../check-hnswlib.js");
const ADDITIONS = path.resolve(import.meta.dirname, "../hnswlib");
const HEADERS = [
  "huge-pages.h",
  "rows-at-once.h",
  "graph-view.h",
  "graph-search.h",
  "graph-build.h",
  "graph-growth.h",
  "shared-graph.h",
  "spin-lock.h",
  "asked-search.h",
  "comparison.h",
  "walkers.h",
  "json-numbers.h",
  "node-methods.h",
  "node-growth.h",
  "node-walkers.h",
].map((name) => path.join(ADDITIONS, name));
const PATCHES = [
  { file: "src/addon.cc", patch: path.join(ADDITIONS, "addon.patch") },
  { file: "src/hnswlib/hnswalg.h", patch: path.join(ADDITIONS, "hnswalg.patch") },
];
/** What node-gyp needs of the package. */
const SOURCES = ["package.json", "binding.gyp", "src"];

const packageFolder = (root) => path.join(root, "node_modules", "hnswlib-node");
/** The build and what there is to know about it. src/native/hnswlib.ts reads it; npm's own build stays where it is. */
const tunedFolder = (root) => path.join(root, "node_modules", ".attune-hnswlib");
const buildMarker = (root) => path.join(tunedFolder(root), "build.json");

/**
 * hnswlib-node for the instructions of this CPU, on huge pages, taking Float32Arrays as they are, with searches and comparisons of our
 * own: beside npm's build, which knows SSE2 and plain arrays alone and remains the fallback.
 */
export const hnswlib = {
  title: "building hnswlib-node for this CPU",
  staleReason(root, env = process.env) {
    const choice = chooseMarch(env);
    if (choice === undefined) return existsSync(tunedFolder(root)) ? "no longer wanted" : undefined;
    const marker = readMarker(buildMarker(root));
    if (marker.key === undefined) return "not built yet";
    const key = keyOf(root, choice.march);
    if (marker.key.march !== key.march) return "ATTUNE_MARCH changed";
    if (marker.key.cpu !== key.cpu) return "another CPU";
    if (JSON.stringify(marker.key) !== JSON.stringify(key)) return "hnswlib-node, Node or the set-up changed";
    if (marker.file === undefined) return marker.compiler === findCompiler(env) ? undefined : "the compiler changed";
    return hashOfFile(path.join(tunedFolder(root), marker.file)) === marker.hash ? undefined : "missing or damaged";
  },
  /** Returns why there is only npm's build, or one without the patch, when it comes to that. */
  async run(root, progress, env = process.env) {
    const folder = tunedFolder(root);
    const choice = chooseMarch(env);
    if (choice === undefined) return void rmSync(folder, { recursive: true, force: true });
    const key = keyOf(root, choice.march);
    const workshop = path.join(folder, "next");
    rmSync(workshop, { recursive: true, force: true });
    try {
      copySources(root, workshop);
      const unpatched = patchSources(workshop);
      const addon = await compile(workshop, choice.march, env);
      progress("checking its answers");
      await check(addon);
      const hash = hashOfFile(addon);
      const file = `addon-${hash.slice(0, 16)}.node`;
      renameSync(addon, path.join(folder, file));
      writeMarker(buildMarker(root), { key, file, hash, needs: choice.needs });
      return unpatched;
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
      writeMarker(buildMarker(root), { key, compiler: findCompiler(env), problem: error.message });
      return `hnswlib-node is used as npm built it, which is slower: ${error.message}\n  To try again: remove ${folder}`;
    } finally {
      removeLeftovers(root);
    }
  },
};

/** What the build depends on; a build for a named level does not depend on the CPU that made it. */
function keyOf(root, march) {
  const { name, flags } = readCpu();
  return {
    march,
    cpu: march === "native" ? `${name}: ${flags}` : undefined,
    version: readMarker(path.join(packageFolder(root), "package.json")).version,
    sources: fingerprint(packageFolder(root), SOURCES, ""),
    additions: fingerprint(ADDITIONS, ["."], ""),
    check: hashOfFile(CHECK),
    abi: process.versions.modules,
  };
}

/** A copy of the package, so that npm's build is never missing. */
function copySources(root, workshop) {
  mkdirSync(workshop, { recursive: true });
  for (const name of SOURCES) {
    cpSync(path.join(packageFolder(root), name), path.join(workshop, name), { recursive: true });
  }
  // Beside the sources, and named from the build folder inside, for a path with spaces would not survive make.
  for (const header of HEADERS) cpSync(header, path.join(workshop, path.basename(header)));
}

/** Returns why the sources stay as they are when a patch does not fit them; a build without them serves too. */
function patchSources(workshop) {
  const patched = new Map();
  for (const { file, patch } of PATCHES) {
    const source = path.join(workshop, file);
    try {
      const text = existsSync(source) ? readFileSync(source, "utf8") : "";
      patched.set(source, applyPatch(text, readFileSync(patch, "utf8")));
    } catch (error) {
      if (!(error instanceof PatchError)) throw error;
      const misfit = `${path.basename(patch)} does not fit its ${file} (${error.message})`;
      return `hnswlib-node is built without our additions, which is slower: ${misfit}`;
    }
  }
  for (const [source, text] of patched) writeFileSync(source, text);
}

/** Builds with the node-gyp that npm brings along. */
async function compile(workshop, march, env) {
  if (findCompiler(env) === undefined)
    throw new SetupError(`no C++ compiler (${compilerName(env)}) was found.\n${COMPILER_HINT}`);
  const [file, ...args] = npmCommand();
  const flags = [env.CXXFLAGS, "-O3", `-march=${march}`, "-include ../huge-pages.h"].filter(Boolean).join(" ");
  const { code, output } = await runCommand(file, [...args, "run", "rebuild"], {
    cwd: workshop,
    env: { ...npmEnvironment(env), CXXFLAGS: flags },
  });
  if (code !== 0) throw new SetupError(`building it ended with ${code}:\n${tail(output, 15)}\n${COMPILER_HINT}`);
  return path.join(workshop, "build", "Release", "addon.node");
}

async function check(addon) {
  const { code, signal, output } = await runCommand(process.execPath, [CHECK, addon], {});
  if (signal) throw new SetupError(`${signal} ended the check of the new build.`);
  if (code !== 0) throw new SetupError(`the new build did not pass its check:\n${tail(output, 12)}`);
}

function compilerName(env) {
  return env.CXX?.trim().split(/\s+/)[0] || "g++";
}

/** Where the compiler that make would call is; undefined when it is nowhere. */
function findCompiler(env) {
  const name = compilerName(env);
  const folders = path.isAbsolute(name) ? ["/"] : (env.PATH ?? "").split(path.delimiter);
  return folders.map((folder) => path.resolve(folder, name)).find((file) => existsSync(file));
}

/** Processes that have an older build open keep it. */
function removeLeftovers(root) {
  const folder = tunedFolder(root);
  const kept = [path.basename(buildMarker(root)), readMarker(buildMarker(root)).file];
  for (const name of readdirSync(folder)) {
    if (!kept.includes(name)) rmSync(path.join(folder, name), { recursive: true, force: true });
  }
}

import { existsSync } from "node:fs";
import path from "node:path";
import { runCommand, SetupError, tail } from "../command.js";
import { hashOfFile } from "../fingerprint.js";
import { readMarker, writeMarker } from "../marker.js";

export const markerFile = (root) => path.join(root, "node_modules", ".attune-setup.json");

/** `npm ci`, when node_modules is missing or is not what package-lock.json says. */
export const packages = {
  title: "installing packages",
  staleReason(root) {
    if (!existsSync(path.join(root, "node_modules", ".package-lock.json"))) return "not installed yet";
    if (readMarker(markerFile(root)).packages === hashOfFile(path.join(root, "package-lock.json"))) return undefined;
    return installedMatchesLock(root) ? undefined : "package-lock.json changed";
  },
  async run(root, progress) {
    const [file, ...args] = npmCommand();
    const ci = [...args, "ci", "--no-audit", "--no-fund", "--loglevel=http"];
    const { code, output } = await runCommand(file, ci, {
      cwd: root,
      env: npmEnvironment(),
      onLine: showFetches(progress),
    });
    if (code !== 0) {
      throw new SetupError(`npm ci ended with ${code}:\n${tail(essence(output), 40)}\n\n${installHint(output)}`);
    }
    writeMarker(markerFile(root), { packages: hashOfFile(path.join(root, "package-lock.json")) });
  },
};

/** True when npm's own record of node_modules holds every package of the lock file in its version: somebody ran npm by hand. */
export function installedMatchesLock(root) {
  const wanted = readMarker(path.join(root, "package-lock.json")).packages ?? {};
  const installed = readMarker(path.join(root, "node_modules", ".package-lock.json")).packages ?? {};
  return Object.entries(wanted).every(([name, entry]) => {
    // Packages of another platform are in the lock file and not on the disk.
    if (name === "" || (installed[name] === undefined && (entry.optional || entry.devOptional))) return true;
    return installed[name]?.version === entry.version && installed[name]?.integrity === entry.integrity;
  });
}

/** The npm that runs us when there is one, else the one on the PATH. */
export function npmCommand() {
  const running = process.env.npm_execpath;
  if (running?.endsWith("npm-cli.js")) return [process.execPath, running];
  return [process.platform === "win32" ? "npm.cmd" : "npm"];
}

/**
 * The environment of every npm we start. onnxruntime-node's install script would fetch CUDA libraries from a host many
 * networks do not reach: npm 11 does not run it (allowScripts), older ones do, and this tells it to skip. node-gyp would
 * fetch Node's headers: they often lie beside Node already.
 */
export function npmEnvironment(env = process.env) {
  const result = { ONNXRUNTIME_NODE_INSTALL: "skip", ...env };
  const prefix = path.dirname(path.dirname(process.execPath));
  const hasHeaders = existsSync(path.join(prefix, "include", "node", "node_api.h"));
  if (hasHeaders && env.npm_config_nodedir === undefined) result.npm_config_nodedir = prefix;
  return result;
}

function showFetches(progress) {
  let fetched = 0;
  return (line) => {
    if (!line.includes("npm http fetch")) return;
    fetched++;
    progress(`${fetched} fetched`);
  };
}

/** npm's output without the fetches and without the manual page it puts after a refusal. */
function essence(output) {
  const manual = output.search(/^npm error Clean install a project/m);
  const kept = manual === -1 ? output : output.slice(0, manual);
  return kept
    .split("\n")
    .filter((line) => !line.includes("npm http") && line !== "npm error")
    .join("\n");
}

function installHint(output) {
  if (output.includes("EUSAGE"))
    return "package-lock.json does not fit package.json: run `npm install` and commit the lock file.";
  if (/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|network/.test(output)) {
    return "The npm registry was not reached. Check the network, a proxy (npm config get proxy) and `npm ping`, then try again.";
  }
  if (/gyp ERR|node-gyp/.test(output)) return COMPILER_HINT;
  return "Try `npm ci` by hand to see the whole output.";
}

export const COMPILER_HINT =
  "hnswlib-node is compiled at installation and needs a C++ compiler, make and python3:\n" +
  "  Debian, Ubuntu: sudo apt-get install g++ make python3\n" +
  "  Fedora:         sudo dnf install gcc-c++ make python3\n" +
  "  macOS:          xcode-select --install\n" +
  "  Windows:        Visual Studio Build Tools with the C++ workload, and Python 3\n" +
  "node-gyp also needs Node's headers; without a network point it at them: npm_config_nodedir=/usr (the folder above include/node).";

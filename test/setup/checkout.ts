import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** The project's root, seen from the compiled tests in BUILD/test/setup/. */
export const PROJECT = fileURLToPath(new URL("../../..", import.meta.url));

const LINKED = ["typescript", "hnswlib-node", "classic-level", "onnxruntime-node", "@types"];

const TSCONFIG = {
  compilerOptions: {
    target: "es2023",
    module: "nodenext",
    rootDir: ".",
    strict: true,
    types: ["node"],
    skipLibCheck: true,
  },
  include: ["src/**/*.ts", "bench/**/*.ts"],
};

/** An encoder that counts how often it prepared its models; the set-up only needs these two names of it. */
const ENCODER = `
import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
export const defaultCacheDirectory = () => process.env["ATTUNE_CACHE"] ?? "";
export async function prepareBuiltInModels(options: { cacheDirectory: string }) {
  mkdirSync(options.cacheDirectory, { recursive: true });
  writeFileSync(options.cacheDirectory + "/model.onnx", "model");
  appendFileSync(options.cacheDirectory + "/prepared.log", "x");
  return [{ path: options.cacheDirectory + "/model.onnx", checksum: "0" }];
}
`;

interface SetUpRun {
  code: number | null;
  stderr: string;
  seconds: number;
}

export interface Checkout {
  root: string;
  cache: string;
  write(file: string, text: string): void;
  setUp(...args: string[]): Promise<SetUpRun>;
  setUpWith(env: NodeJS.ProcessEnv, ...args: string[]): Promise<SetUpRun>;
  remove(): void;
}

/**
 * A small checkout with the real set-up, the real compiler and the real native modules, linked; no network needed. The
 * index is left as npm built it, unless a test says otherwise: compiling it takes longer than all the rest.
 */
export function makeCheckout(): Checkout {
  const root = mkdtempSync(path.join(os.tmpdir(), "attune-set-up-"));
  const cache = path.join(root, "cache");
  const write = (file: string, text: string) => {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    writeFileSync(path.join(root, file), text);
  };
  cpSync(path.join(PROJECT, "src/setup"), path.join(root, "src/setup"), { recursive: true });
  mkdirSync(path.join(root, "node_modules"));
  for (const name of LINKED)
    symlinkSync(path.join(PROJECT, "node_modules", name), path.join(root, "node_modules", name));
  const lock = JSON.stringify({ packages: { "": {}, "node_modules/a": { version: "1.0.0", integrity: "sha512-a" } } });
  write("package.json", JSON.stringify({ type: "module", engines: { node: ">=20.19.0" } }));
  write("package-lock.json", lock);
  write("node_modules/.package-lock.json", lock);
  write("tsconfig.json", JSON.stringify(TSCONFIG));
  write("src/encoder/index.ts", ENCODER);
  write("bench/one.ts", "export const one: number = 1;\n");
  return {
    root,
    cache,
    write,
    setUp: (...args) => runSetUp(root, { ATTUNE_CACHE: cache }, args),
    setUpWith: (env, ...args) => runSetUp(root, { ATTUNE_CACHE: cache, ...env }, args),
    remove: () => rmSync(root, { recursive: true }),
  };
}

async function runSetUp(root: string, env: NodeJS.ProcessEnv, args: string[]): Promise<SetUpRun> {
  const started = performance.now();
  const child = spawn(process.execPath, ["src/setup/setup.js", ...args], {
    cwd: root,
    env: { ...process.env, ATTUNE_MARCH: "off", ...env },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stderr, seconds: (performance.now() - started) / 1000 };
}

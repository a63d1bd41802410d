import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { test } from "node:test";
import { projectRoot } from "../support/project-root.js";

/** Which rooms a room may import, beside itself and `errors`; ARCHITECTURE.md draws the same. */
const MAY_IMPORT: Record<string, string[]> = {
  schemas: [],
  storage: [],
  "src/errors": [],
  "src/vector": [],
  "src/native": [],
  "src/onnx": [],
  "src/runtime": [],
  "src/index": ["src/vector", "src/native", "schemas"],
  "src/image": [],
  "src/encoder": ["src/vector", "src/onnx", "src/runtime", "src/image"],
  "src/evaluation": ["src/vector"],
  "src/training": ["src/vector", "src/onnx", "src/runtime", "src/image", "src/encoder", "src/evaluation"],
  "src/collection": [
    "schemas",
    "storage",
    "src/vector",
    "src/runtime",
    "src/index",
    "src/image",
    "src/encoder",
    "src/evaluation",
    "src/training",
  ],
  "src/http": ["schemas", "src/vector", "src/native", "src/collection"],
  "src/client": ["schemas"],
  "src/cli": ["schemas", "src/collection", "src/http", "src/client"],
  "src/demo": ["schemas", "src/vector", "src/evaluation", "src/http", "src/client", "src/cli"],
};

/** Rooms that have nothing to do with `errors`: they can be used without the rest. */
const WITHOUT_ERRORS = new Set(["schemas", "storage", "src/client"]);

/** Where each package may be imported: a file, or a folder. */
const PACKAGES: Record<string, string[]> = {
  typebox: ["schemas/", "src/http/"],
  level: ["storage/level.ts"],
  "classic-level": ["storage/level.ts"],
  "onnxruntime-node": ["src/runtime/"],
  protobufjs: ["src/onnx/"],
  "hnswlib-node": ["src/native/hnswlib.ts"],
  "@huggingface/tokenizers": ["src/encoder/tokenizers/"],
  "@huggingface/hub": ["src/encoder/sources/"],
  fastify: ["src/http/"],
  "@fastify/swagger": ["src/http/"],
  "@fastify/type-provider-typebox": ["src/http/"],
  sharp: ["src/image/"],
  "@tensorflow/tfjs": ["src/training/engines/tfjs/"],
  "@tensorflow/tfjs-backend-wasm": ["src/training/engines/tfjs/"],
  "@tensorflow/tfjs-node-gpu": ["src/training/engines/tfjs/"],
  commander: ["src/cli/"],
  "csv-parse": ["src/cli/input/csv.ts"],
};

interface Import {
  file: string;
  from: string;
  typeOnly: boolean;
}

function sources(directory: string): string[] {
  return readdirSync(join(projectRoot, directory), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => relative(projectRoot, join(entry.parentPath, entry.name)));
}

const STATEMENT = /^(?:import|export)\s+(type\s+)?(?:[^"';]*?\s+from\s+)?["']([^"']+)["']/gm;
const DYNAMIC = /\bimport\(\s*["']([^"']+)["']\s*\)/g;

function importsOf(file: string): Import[] {
  const text = readFileSync(join(projectRoot, file), "utf8");
  const statics = [...text.matchAll(STATEMENT)].map(([, type, from = ""]) => ({
    file,
    from,
    typeOnly: type !== undefined,
  }));
  return [...statics, ...[...text.matchAll(DYNAMIC)].map(([, from = ""]) => ({ file, from, typeOnly: false }))];
}

function roomOf(path: string): string {
  const [first = "", second = ""] = path.split("/");
  return first === "src" ? `src/${second}` : first;
}

const all = ["src", "storage", "schemas"].flatMap(sources).flatMap(importsOf);

test("arrows between rooms run one way", () => {
  assert.ok(all.length > 100, "the imports were found");
  for (const { file, from, typeOnly } of all) {
    if (!from.startsWith(".")) continue;
    const target = relative(projectRoot, resolve(projectRoot, dirname(file), from));
    const [room, other] = [roomOf(file), roomOf(target)];
    if (room === other) continue;
    if (other === "src/errors" && !WITHOUT_ERRORS.has(room)) continue;
    const allowed = MAY_IMPORT[room];
    assert.ok(allowed, `${file}: the room ${room} is not in the list of rooms`);
    assert.ok(allowed.includes(other), `${file} imports ${from}, but ${room} may not import ${other}`);
    if (room === "src/index" && other === "schemas") assert.ok(typeOnly, `${file} may import types only from schemas`);
  }
});

test("a package is imported in one file, or inside one folder", () => {
  const used = new Set<string>();
  for (const { file, from } of all) {
    if (from.startsWith(".") || from.startsWith("node:")) continue;
    const name = from
      .split("/")
      .slice(0, from.startsWith("@") ? 2 : 1)
      .join("/");
    used.add(name);
    const homes = PACKAGES[name];
    assert.ok(homes, `${file} imports ${name}, which has no home in this list`);
    const atHome = homes.some((home) => file === home || (home.endsWith("/") && file.startsWith(home)));
    assert.ok(atHome, `${file} imports ${name}, which belongs to ${homes.join(", ")}`);
  }
  for (const name of ["onnxruntime-node", "hnswlib-node", "fastify", "typebox"]) assert.ok(used.has(name), name);
});

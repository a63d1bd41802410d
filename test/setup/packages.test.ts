import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { PROJECT } from "./checkout.js";

interface PackagesStep {
  packages: {
    staleReason(root: string): string | undefined;
    run(root: string, progress: (text: string) => void): Promise<void>;
  };
  npmEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv;
}
interface NodeVersionStep {
  compareVersions(a: string, b: string): number;
}

const step = async <T>(name: string) =>
  (await import(pathToFileURL(path.join(PROJECT, "src/setup/steps", `${name}.js`)).href)) as T;

describe("the packages step", async () => {
  const { packages, npmEnvironment } = await step<PackagesStep>("packages");
  const root = mkdtempSync(path.join(os.tmpdir(), "attune-packages-"));
  after(() => rmSync(root, { recursive: true }));
  const write = (file: string, value: unknown) => {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    writeFileSync(path.join(root, file), JSON.stringify(value));
  };
  const lockOf = (entries: Record<string, unknown>) => ({ packages: { "": {}, ...entries } });

  it("is stale without node_modules, and fresh when npm was run by hand", () => {
    write("package-lock.json", lockOf({ "node_modules/a": { version: "1.0.0", integrity: "x" } }));
    assert.equal(packages.staleReason(root), "not installed yet");
    write("node_modules/.package-lock.json", lockOf({ "node_modules/a": { version: "1.0.0", integrity: "x" } }));
    assert.equal(packages.staleReason(root), undefined);
  });

  it("is stale when the lock file asks for another version or one more package", () => {
    write("package-lock.json", lockOf({ "node_modules/a": { version: "1.0.1", integrity: "y" } }));
    assert.equal(packages.staleReason(root), "package-lock.json changed");
    const two = { "node_modules/a": { version: "1.0.0", integrity: "x" }, "node_modules/b": { version: "2.0.0" } };
    write("package-lock.json", lockOf(two));
    assert.equal(packages.staleReason(root), "package-lock.json changed");
  });

  it("does not miss optional packages of other platforms", () => {
    const other = { version: "1.0.0", optional: true, os: ["plan9"] };
    write(
      "package-lock.json",
      lockOf({ "node_modules/a": { version: "1.0.0", integrity: "x" }, "node_modules/c": other }),
    );
    assert.equal(packages.staleReason(root), undefined);
  });

  it("runs npm ci, after which it is fresh until the lock file changes", async () => {
    const project = { name: "empty", version: "1.0.0" };
    write("package.json", project);
    write("package-lock.json", { ...project, lockfileVersion: 3, requires: true, packages: { "": project } });
    rmSync(path.join(root, "node_modules"), { recursive: true });
    mkdirSync(path.join(root, "node_modules"));
    assert.equal(packages.staleReason(root), "not installed yet");
    await packages.run(root, () => {});
    assert.ok(existsSync(path.join(root, "node_modules/.attune-setup.json")));
    // With nothing to install npm leaves no record of its own behind.
    write("node_modules/.package-lock.json", lockOf({}));
    assert.equal(packages.staleReason(root), undefined);
  });

  it("tells what npm said when the lock file does not fit package.json", async () => {
    write("package.json", { name: "empty", version: "1.0.0", dependencies: { a: "file:./a" } });
    write("a/package.json", { name: "a", version: "1.0.0" });
    await assert.rejects(
      packages.run(root, () => {}),
      /npm ci ended with 1:[\s\S]*run `npm install` and commit the lock file/,
    );
  });

  it("tells onnxruntime-node's install script to fetch nothing, unless the person decided otherwise", () => {
    assert.equal(npmEnvironment({}).ONNXRUNTIME_NODE_INSTALL, "skip");
    assert.equal(npmEnvironment({ ONNXRUNTIME_NODE_INSTALL: "cuda12" }).ONNXRUNTIME_NODE_INSTALL, "cuda12");
  });
});

describe("the project's package-lock.json", () => {
  it("names every optional platform package, without which npm ci refuses it", () => {
    const lock = JSON.parse(readFileSync(path.join(PROJECT, "package-lock.json"), "utf8")) as {
      packages: Record<string, { optionalDependencies?: Record<string, string> }>;
    };
    const wanted = Object.values(lock.packages).flatMap((entry) => Object.keys(entry.optionalDependencies ?? {}));
    assert.deepEqual(
      wanted.filter((name) => lock.packages[`node_modules/${name}`] === undefined),
      [],
    );
  });
});

describe("Node versions", async () => {
  const { compareVersions } = await step<NodeVersionStep>("node-version");
  it("compare number by number", () => {
    assert.ok(compareVersions("20.9.0", "20.19.0") < 0);
    assert.ok(compareVersions("22.0.0", "20.19.0") > 0);
    assert.equal(compareVersions("20.19.0", "20.19.0"), 0);
    assert.ok(compareVersions("21.0.0-nightly", "20.19.0") > 0);
  });
});

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { type Checkout, makeCheckout } from "./checkout.js";

describe("set-up of a checkout", () => {
  let checkout: Checkout;
  beforeEach(() => {
    checkout = makeCheckout();
  });
  afterEach(() => checkout.remove());

  const built = (file: string) => existsSync(path.join(checkout.root, "dist", file));
  const timesPrepared = () => readFileSync(path.join(checkout.cache, "prepared.log"), "utf8").length;

  it("builds and prepares the model once; a second run says nothing and takes well under 2 s", async () => {
    const first = await checkout.setUp();
    assert.equal(first.code, 0, first.stderr);
    assert.match(first.stderr, /compiling TypeScript: done in [\d.]+ s/);
    assert.match(first.stderr, /preparing the built-in models: done in/);
    assert.ok(built("bench/one.js"));
    const second = await checkout.setUp("--for", "demo");
    assert.deepEqual([second.code, second.stderr], [0, ""]);
    assert.ok(second.seconds < 2, `${second.seconds} s`);
    assert.equal(timesPrepared(), 1);
  });

  it("builds again when a source changes or goes, but not when only its time changes", async () => {
    await checkout.setUp("--for", "build");
    utimesSync(path.join(checkout.root, "bench/one.ts"), new Date(), new Date());
    assert.equal((await checkout.setUp("--for", "build")).stderr, "");
    checkout.write("bench/two.ts", "export const two = 2;\n");
    rmSync(path.join(checkout.root, "bench/one.ts"));
    const again = await checkout.setUp("--for", "build");
    assert.match(again.stderr, /compiling TypeScript \(sources changed\)/);
    assert.deepEqual([built("bench/one.js"), built("bench/two.js")], [false, true]);
  });

  it("fails with the compiler's words on a type error and keeps the old build", async () => {
    await checkout.setUp("--for", "build");
    checkout.write("bench/one.ts", "export const one: number = 'one';\n");
    const failed = await checkout.setUp("--for", "build");
    assert.equal(failed.code, 1);
    assert.match(failed.stderr, /set-up failed: tsc found errors:\s+bench\/one\.ts\(1,14\): error TS2322/);
    assert.ok(built("bench/one.js"));
    assert.ok(!existsSync(path.join(checkout.root, "dist-next")));
    assert.ok(!existsSync(path.join(checkout.root, "dist-setup.lock")));
  });

  it("prepares the model again when it is gone from the cache", async () => {
    await checkout.setUp("--quiet");
    rmSync(path.join(checkout.cache, "model.onnx"));
    const again = await checkout.setUp();
    assert.match(again.stderr, /preparing the built-in models \(missing from the cache\)/);
    assert.equal(timesPrepared(), 2);
  });

  it("prints nothing with --quiet", async () => {
    const quiet = await checkout.setUp("--quiet");
    assert.deepEqual([quiet.code, quiet.stderr], [0, ""]);
  });

  it("refuses options it does not know with exit code 2", async () => {
    assert.equal((await checkout.setUp("--for", "lunch")).code, 2);
    assert.equal((await checkout.setUp("--fast")).code, 2);
  });

  it("lets one of two set-ups at once do the work", async () => {
    const runs = await Promise.all([checkout.setUp(), checkout.setUp()]);
    assert.deepEqual(
      runs.map((run) => run.code),
      [0, 0],
      runs.map((run) => run.stderr).join("\n"),
    );
    assert.equal(timesPrepared(), 1);
  });

  it("takes over the lock of a set-up that died", async () => {
    const lock = path.join(checkout.root, "dist-setup.lock");
    mkdirSync(lock);
    // No process has this id: Linux's largest is 2^22.
    writeFileSync(path.join(lock, "owner.json"), JSON.stringify({ pid: 2 ** 22 + 1, host: os.hostname() }));
    assert.equal((await checkout.setUp("--for", "build")).code, 0);
    assert.ok(!existsSync(lock));
  });

  it("says so when this Node is too old", async () => {
    checkout.write("package.json", JSON.stringify({ type: "module", engines: { node: ">=99.1.0" } }));
    const refused = await checkout.setUp();
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /Node \d+\.\d+\.\d+ is too old: Attune needs Node 99\.1\.0 or newer/);
  });
});

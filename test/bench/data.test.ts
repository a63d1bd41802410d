import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { dataDirectory, hasBanking77, loadBanking77 } from "../../bench/support/banking77.js";
import { loadIntentData } from "../../bench/support/intent-data.js";

describe("Banking77", () => {
  it("has 10,003 train and 3,080 test queries of 77 intents", {
    skip: hasBanking77() ? false : `no Banking77 in ${dataDirectory()} (set ATTUNE_TEST_DATA)`,
  }, () => {
    const { train, test } = loadBanking77();
    assert.deepEqual([train.length, test.length], [10_003, 3_080]);
    assert.equal(new Set([...train, ...test].map(({ intent }) => intent)).size, 77);
    assert.deepEqual(train[0], { text: "I am still waiting on my card?", intent: "card_arrival" });
  });

  it("is refused when it is missing or not the file that was measured with", () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), "attune-banking77-"));
    assert.throws(() => loadBanking77(folder), /train\.csv: fetch https:/);
    mkdirSync(path.join(folder, "banking77"));
    writeFileSync(path.join(folder, "banking77", "train.csv"), "text,category\n");
    assert.throws(() => loadBanking77(folder), /has SHA-256 [0-9a-f]{64}, expected b06e26ac/);
    rmSync(folder, { recursive: true });
  });
});

describe("synthetic intents", () => {
  it("are the same for the same seed and leave a fifth for the test", () => {
    const [one, same, other] = [1, 1, 2].map((seed) => loadIntentData("synthetic", { seed, count: 200 }));
    assert.deepEqual(one, same);
    assert.notDeepEqual(one?.train, other?.train);
    assert.deepEqual([one?.train.length, one?.test.length], [160, 40]);
  });

  it("and Banking77 are all there is", () => {
    assert.throws(() => loadIntentData("mnist"), /unknown data set "mnist": expected banking77/);
  });
});

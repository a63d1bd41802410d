import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import { describe, it } from "node:test";
import { BuildPace, type WaitingRows } from "../../src/index/build-pace.js";
import { OpenSearches } from "../../src/index/open-searches.js";

const IDLE: WaitingRows = { areWanted: false, areFarBehind: false, areForLater: false };
const several = Math.min(4, availableParallelism());

function paceOf({ niceness = 0, searching = 0, encoding = 0, maxPending = 8192, dimensions = 512 } = {}) {
  const [searches, encodings] = [Int32Array.of(searching), Int32Array.of(encoding)];
  const rows = { path: "none", dimensions };
  const pace = new BuildPace({ niceness, busy: encodings, searching: searches, maxPending, rows });
  return { pace, searches, encodings };
}

describe("the pace of building", () => {
  it("is that of several threads when nobody has asked or written lately", () => {
    const { pace } = paceOf();
    assert.deepEqual([pace.builders(1000).threads, pace.pauseMs(1000, IDLE)], [several, 0]);
    pace.searched(1000);
    assert.deepEqual([pace.builders(1050).threads, pace.builders(1051).threads], [1, several]);
    pace.wrote(1100);
    assert.deepEqual([pace.builders(1150).threads, pace.builders(1151).threads], [1, several]);
    assert.equal(paceOf({ niceness: 10 }).pace.builders(1000).threads, 1, "beside another index, one");
  });

  it("gives way while this index is searched, or another", () => {
    const { pace, searches } = paceOf();
    const givesWay = (now: number) => pace.builders(now).giveWay;
    assert.equal(givesWay(1000), false);
    pace.wrote(1000);
    assert.equal(givesWay(1000), false, "who writes waits for it");
    pace.searched(1000);
    assert.deepEqual([givesWay(1050), givesWay(1051)], [true, false]);
    searches[0] = 1;
    assert.equal(givesWay(1051), true);
  });

  it("is in short turns, shorter while it is searched, where it holds up the thread that answers", () => {
    const { pace } = paceOf();
    const [quiet, aside] = [pace.milliseconds(1000, false), pace.milliseconds(1000, true)];
    pace.searched(1000);
    assert.ok(pace.milliseconds(1001, false) < quiet && quiet < aside);
    assert.equal(pace.milliseconds(1001, true), aside);
  });

  it("rests as long as it works, while searches are under way and nobody waits for what is built", () => {
    const forLater = { ...IDLE, areWanted: true, areForLater: true };
    for (const [given, rows] of [
      [{ niceness: 10 }, { ...IDLE, areWanted: true }],
      [{ niceness: 0 }, forLater],
    ] as const) {
      const { pace, searches } = paceOf({ ...given, searching: 1 });
      assert.equal(pace.pauseMs(1000, rows), 0, "it begins at once");
      pace.built(1000, 16);
      assert.deepEqual([pace.pauseMs(1000, rows), pace.pauseMs(1010, rows), pace.pauseMs(1016, rows)], [16, 6, 0]);
      searches[0] = 0;
      assert.equal(pace.pauseMs(1001, rows), 0, "nobody searches any more");
    }
  });

  it("does not rest for long, however long others kept it from working", () => {
    const { pace } = paceOf({ niceness: 10, searching: 3 });
    pace.built(1000, 5000);
    assert.equal(pace.pauseMs(1000, IDLE), 100);
  });

  it("does not rest where searches compare with what waits", () => {
    const { pace } = paceOf({ searching: 1 });
    pace.built(1000, 16);
    for (const rows of [IDLE, { ...IDLE, areFarBehind: true }, { ...IDLE, areWanted: true }])
      assert.equal(pace.pauseMs(1001, rows), 0);
  });

  it("lets fewer rows wait while searches come, which compare with all of them", () => {
    for (const [given, most] of [
      [{}, 2048],
      [{ dimensions: 4096 }, 512],
      [{ dimensions: 16 }, 8192],
      [{ maxPending: 100 }, 100],
    ] as const) {
      const { pace } = paceOf(given);
      const { maxPending } = { maxPending: 8192, ...given };
      assert.equal(pace.mostWaiting(0), maxPending, "nobody has searched yet");
      pace.searched(1000);
      assert.deepEqual(
        [pace.mostWaiting(1000), pace.mostWaiting(2000), pace.mostWaiting(2001)],
        [most, most, maxPending],
      );
    }
  });

  it("waits for encoders, unless somebody searches or waits, or writers soon would", () => {
    const { pace, encodings } = paceOf({ encoding: 1 });
    assert.equal(pace.pauseMs(1000, IDLE), 20);
    for (const rows of [
      { ...IDLE, areFarBehind: true },
      { ...IDLE, areWanted: true },
    ])
      assert.equal(pace.pauseMs(1000, rows), 0);
    pace.searched(1000);
    assert.equal(pace.pauseMs(1001, IDLE), 0);
    encodings[0] = 0;
    assert.equal(pace.pauseMs(2000, IDLE), 0);
  });
});

describe("the count of searches everywhere", () => {
  it("goes up with a search of any index and down at its end, however that comes", async () => {
    const before = OpenSearches.everywhere[0]!;
    const [one, other] = [new OpenSearches(), new OpenSearches()];
    let end = () => {};
    const asked = one.track(
      new Promise<void>((resolve) => {
        end = resolve;
      }),
    );
    const failed = other.track(Promise.reject(new Error("died")));
    assert.equal(OpenSearches.everywhere[0], before + 2);
    await assert.rejects(failed, /died/);
    assert.equal(OpenSearches.everywhere[0], before + 1);
    end();
    await asked;
    assert.equal(OpenSearches.everywhere[0], before);
  });
});

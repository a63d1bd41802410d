import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { AnswerWatch } from "../../src/index/answer-watch.js";
import { hasNativeSearch, hnswlib } from "../../src/index/hnswlib.js";
import type { SearchHits } from "../../src/index/index.js";
import { SearchRing, SearchRingThread } from "../../src/index/search-ring.js";
import { Random } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";
import { uint32 } from "./support.js";

const DIMENSIONS = 3;
const row = (number: number) => new Float32Array(DIMENSIONS).fill(number);

function both() {
  const ring = new SearchRing(DIMENSIONS);
  return { ring, thread: new SearchRingThread(ring.memory) };
}

function answersOf(ring: SearchRing): [id: number, hits: SearchHits][] {
  const answers: [number, SearchHits][] = [];
  ring.takeAnswers((id, hits) => answers.push([id, hits]));
  return answers;
}

const unwaiting = hasNativeSearch(hnswlib) ? false : "npm's build of hnswlib-node cannot wait for shared memory";

describe("the ring of searches", () => {
  it("takes searches over as they were asked, and hits as they were found", () => {
    const { ring, thread } = both();
    const query = row(7);
    // Ids beyond 32 bits.
    assert.ok(ring.ask(2 ** 40 + 1, query, 2, 24));
    query.fill(0);
    const { slot, ...asked } = thread.take()!;
    assert.deepEqual(asked, { id: 2 ** 40 + 1, query: row(7), k: 2, efSearch: 24 });
    assert.equal(thread.take(), undefined);
    const hits = { labels: uint32(4_000_000_000, 1), distances: Float64Array.of(0.1, 0.2) };
    thread.answer(slot, hits);
    assert.deepEqual(answersOf(ring), [[2 ** 40 + 1, hits]]);
    assert.deepEqual(answersOf(ring), []);
  });

  it("refuses more hits than a slot has room for, and more searches than there are slots", () => {
    const { ring, thread } = both();
    assert.equal(ring.ask(1, row(1), 129, 200), false);
    for (let id = 1; id <= 64; id++) assert.ok(ring.ask(id, row(id), 128, 200));
    assert.equal(ring.ask(65, row(1), 1, 10), false);
    const { slot } = thread.take()!;
    const most = { labels: new Uint32Array(128).fill(3), distances: new Float64Array(128).fill(0.5) };
    thread.answer(slot, most);
    assert.deepEqual(answersOf(ring), [[1, most]]);
    assert.ok(ring.ask(65, row(1), 1, 10));
    assert.equal(ring.ask(66, row(1), 1, 10), false);
  });

  it("frees the slot of a search that failed", () => {
    const { ring, thread } = both();
    for (let id = 1; id <= 64; id++) ring.ask(id, row(id), 1, 10);
    thread.take();
    ring.failed(1);
    ring.failed(1000);
    assert.ok(ring.ask(65, row(1), 1, 10));
    assert.equal(ring.ask(66, row(1), 1, 10), false);
  });

  it("wakes a thread that sleeps for four searches, or at the end of a turn for any, and one that is awake never", () => {
    const { ring, thread } = both();
    assert.equal(ring.mustWake(true), false, "nothing was asked");
    const woken = Array.from({ length: 5 }, (_, i) => {
      ring.ask(i + 1, row(i), 1, 10);
      return ring.mustWake(false);
    });
    assert.deepEqual(woken, [false, false, false, true, false]);
    assert.equal(ring.mustWake(true), false, "it has been woken");
    while (thread.take() !== undefined);
    assert.ok(thread.sleep());
    ring.ask(6, row(1), 1, 10);
    assert.ok(ring.isFirst);
    assert.equal(ring.mustWake(false), false);
    assert.equal(thread.sleep(), false, "it sees what was asked before it slept");
    assert.equal(ring.mustWake(true), false);
    thread.take();
    assert.ok(thread.sleep());
    ring.ask(7, row(1), 1, 10);
    assert.equal(ring.mustWake(true), true);
  });

  it("sleeps later where nothing happens, and at once where a message is on its way", { skip: unwaiting }, () => {
    const { ring, thread } = both();
    const slept = () => {
      const started = performance.now();
      assert.ok(thread.sleep());
      return performance.now() - started;
    };
    ring.ask(1, row(1), 1, 10);
    thread.take();
    const least = () => Math.min(...Array.from({ length: 50 }, slept));
    assert.ok(least() >= 0.5, "a search that was taken kept it from waiting");
    ring.nudge();
    assert.ok(least() < 0.5, "it waited beside a message");
    thread.received();
    assert.ok(least() >= 0.5, "a message that has come kept it from waiting");
  });

  it("tells the index of four answers, or at the end of a turn of any, once until it has taken them", () => {
    const { ring, thread } = both();
    const hits = { labels: uint32(1), distances: Float64Array.of(0) };
    for (let id = 1; id <= 9; id++) ring.ask(id, row(id), 1, 10);
    const told = Array.from({ length: 8 }, () => {
      thread.answer(thread.take()!.slot, hits);
      return thread.mustTell(false);
    });
    assert.deepEqual(told, [false, false, false, true, false, false, false, false]);
    assert.equal(answersOf(ring).length, 8);
    thread.answer(thread.take()!.slot, hits);
    assert.deepEqual([thread.mustTell(false), thread.mustTell(true), thread.mustTell(true)], [false, true, false]);
    assert.equal(answersOf(ring).length, 1);
  });

  it("tells of nothing while somebody looks for answers, and of the next one after that", () => {
    const { ring, thread } = both();
    const hits = { labels: uint32(1), distances: Float64Array.of(0) };
    for (let id = 1; id <= 7; id++) ring.ask(id, row(id), 1, 10);
    const answer = () => thread.answer(thread.take()!.slot, hits);
    ring.startWatch();
    for (let i = 0; i < 5; i++) answer();
    assert.equal(thread.mustTell(false), false);
    const given: number[] = [];
    assert.equal(
      ring.takeWatched((id) => given.push(id)),
      5,
    );
    answer();
    assert.equal(thread.mustTell(true), false);
    ring.takeAnswers((id) => given.push(id));
    assert.deepEqual(given, [1, 2, 3, 4, 5, 6]);
    assert.ok(ring.isOpen);
    answer();
    assert.equal(thread.mustTell(true), true);
    assert.deepEqual(answersOf(ring), [[7, hits]]);
    assert.ok(!ring.isOpen);
  });

  it("answers each search once however they come and go, many times around", () => {
    const { ring, thread } = both();
    const random = new Random(seedOf("searches that come and go", 9));
    const open = new Set<number>();
    const taken: { slot: number; id: number }[] = [];
    for (let id = 1; id < 20_000; ) {
      const chance = random.integer(3);
      if (chance === 0 && ring.ask(id, row(id), 1, 10)) open.add(id++);
      if (chance === 1) {
        const asked = thread.take();
        if (asked !== undefined) {
          assert.deepEqual(asked.query, row(asked.id));
          taken.push(asked);
        }
      }
      if (chance === 2 && taken.length > 0) {
        const [{ slot, id: answered }] = taken.splice(random.integer(taken.length), 1) as [
          { slot: number; id: number },
        ];
        thread.answer(slot, { labels: uint32(answered), distances: Float64Array.of(answered) });
        for (const [found, hits] of answersOf(ring)) {
          assert.deepEqual([hits.labels[0], hits.distances[0]], [found, found]);
          assert.ok(open.delete(found), `search ${found} was answered twice`);
        }
      }
    }
    assert.ok(open.size <= 64);
  });
});

describe("a watch for answers", () => {
  it("finds them without being told, and is told of those that take long", { skip: unwaiting }, async () => {
    const { ring, thread } = both();
    const hits = { labels: uint32(1), distances: Float64Array.of(0) };
    const given: number[] = [];
    const watch = new AnswerWatch(ring, (id) => given.push(id));
    const ask = (id: number) => {
      ring.ask(id, row(id), 1, 10);
      watch.extend();
    };
    const answer = () => thread.answer(thread.take()!.slot, hits);
    ask(1);
    ask(2);
    answer();
    assert.equal(thread.mustTell(true), false);
    await turn();
    assert.deepEqual(given, [1]);
    // Long after the last question nobody looks any more.
    const until = performance.now() + 5;
    while (performance.now() < until) await turn();
    answer();
    await turn();
    assert.deepEqual(given, [1]);
    assert.equal(thread.mustTell(true), true);
    watch.told();
    assert.deepEqual(given, [1, 2]);
    ask(3);
    answer();
    await turn();
    assert.deepEqual(given, [1, 2, 3]);
  });
});

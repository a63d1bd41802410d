import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Slices } from "../../src/collection/slices.js";

/** Works on this thread until the slice of the turn is used up. */
function useUp(slices: Slices): void {
  while (!slices.over);
}

test("a slice that is used up is over until the next turn of the event loop", async () => {
  const slices = new Slices();
  assert.equal(slices.over, false);
  useUp(slices);
  await Promise.resolve();
  assert.equal(slices.over, true);
  await turn();
  assert.equal(slices.over, false);
});

test("long works go on in the order in which they began, and other things have turns meanwhile", async () => {
  const slices = new Slices();
  const ended: string[] = [];
  let turns = 0;
  const work = async (name: string, steps: number) => {
    for (let step = 0; step < steps; step++) {
      while (slices.over) await slices.next();
      useUp(slices);
    }
    ended.push(name);
  };
  const works = Promise.all([work("first", 6), work("second", 3), work("third", 1)]);
  const other = (async () => {
    while (ended.length < 3) {
      await turn();
      turns += 1;
    }
  })();
  await Promise.all([works, other]);
  assert.deepEqual(ended, ["first", "second", "third"]);
  assert.ok(turns >= 9, `${turns} turns for 10 slices`);
});

test("who gives way without need goes on in the next turn", async () => {
  const slices = new Slices();
  await slices.next();
  assert.equal(slices.over, false);
});

import type { TestContext } from "node:test";

const tasks = new WeakMap<TestContext, (() => unknown)[]>();

/** Runs `task` when the test ends; the last registered goes first (`t.after` alone would run the first one first). */
export function cleanUp(t: TestContext, task: () => unknown): void {
  const registered = tasks.get(t);
  if (registered !== undefined) {
    registered.push(task);
    return;
  }
  const list = [task];
  tasks.set(t, list);
  t.after(async () => {
    for (const last of list.reverse()) await last();
  });
}

import assert from "node:assert/strict";
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import type { TestContext } from "node:test";
import { cleanUp } from "../support/clean-up.js";

/** Runs the writer until `until` says so, kills it with SIGKILL, and returns the ids that it had acknowledged. */
export async function crash(
  t: TestContext,
  args: string[],
  until: (line: string, count: number) => boolean,
  program = "./crash-child.js",
): Promise<string[]> {
  const path = new URL(program, import.meta.url).pathname;
  const child: ChildProcessByStdio<null, Readable, null> = spawn(process.execPath, [path, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  cleanUp(t, () => child.kill("SIGKILL"));
  const gone = once(child, "exit");
  const acknowledged: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    const [kind, id = ""] = line.split(" ");
    if (kind === "acknowledged") acknowledged.push(id);
    if (until(line, acknowledged.length)) child.kill("SIGKILL");
  }
  const [code, signal] = await gone;
  assert.equal(signal, "SIGKILL", `the child ended by itself (${code}) before it was to be killed`);
  return acknowledged;
}

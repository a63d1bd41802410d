import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import type { TestContext } from "node:test";

/** A real child process that runs a file beside this one; killed with the test at the latest. */
export function startChild(t: TestContext, file: string, args: string[]): ChildProcessByStdio<null, Readable, null> {
  const path = new URL(file, import.meta.url).pathname;
  const child = spawn(process.execPath, [path, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => kill(child));
  return child;
}

/** `kill -9`, and waits until the process is gone. */
export async function kill(child: ChildProcessByStdio<null, Readable, null>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

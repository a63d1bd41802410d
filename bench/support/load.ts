import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { LoadResult, LoadTask } from "./load-messages.js";

const PROCESS = fileURLToPath(new URL("./load-process.js", import.meta.url));

/** Puts load on a server from a process of its own, for the task's duration or until the given promise settles. */
export async function runLoad(
  url: string,
  task: Omit<LoadTask, "host" | "port">,
  until?: Promise<unknown>,
): Promise<LoadResult> {
  const { hostname, port } = new URL(url);
  const child = fork(PROCESS);
  const ended = once(child, "exit");
  const answered = once(child, "message");
  child.send({ ...task, host: hostname, port: Number(port) } satisfies LoadTask);
  const stop = () => child.connected && child.send("stop");
  until?.then(stop, stop);
  const failed = ended.then(([code]) => Promise.reject(new Error(`the load process ended with ${code}`)));
  const [message] = await Promise.race([answered, failed]);
  // It is gone before the next measurement begins.
  await ended;
  return message as LoadResult;
}

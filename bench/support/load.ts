import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { LoadResult, LoadTask, Protocol } from "./load-messages.js";

const PROCESS = fileURLToPath(new URL("./load-process.js", import.meta.url));

/** A task without the server's address. */
export type Load = Protocol & Omit<LoadTask, "host" | "port" | "path" | "contentType" | "postgres">;

/** Puts load on a server from a process of its own, for the task's duration or until the given promise settles. */
export async function runLoad(url: string, task: Load, until?: Promise<unknown>): Promise<LoadResult> {
  const { hostname, port } = new URL(url);
  const addressed: LoadTask = { ...task, host: hostname, port: Number(port) };
  const child = fork(PROCESS);
  const ended = once(child, "exit");
  const answered = once(child, "message");
  child.send(addressed);
  const stop = () => child.connected && child.send("stop");
  until?.then(stop, stop);
  const failed = ended.then(([code]) => Promise.reject(new Error(`the load process ended with ${code}`)));
  const [message] = await Promise.race([answered, failed]);
  // It is gone before the next measurement begins.
  await ended;
  return message as LoadResult;
}

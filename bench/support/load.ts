import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { LoadResult, LoadTask } from "./load-messages.js";

const PROCESS = fileURLToPath(new URL("./load-process.js", import.meta.url));

/** Puts load on a server from a process of its own. */
export async function runLoad(url: string, task: Omit<LoadTask, "host" | "port">): Promise<LoadResult> {
  const { hostname, port } = new URL(url);
  const child = fork(PROCESS);
  child.send({ ...task, host: hostname, port: Number(port) } satisfies LoadTask);
  const result = await Promise.race([
    once(child, "message").then(([message]) => message as LoadResult),
    once(child, "exit").then(([code]) => Promise.reject(new Error(`the load process ended with ${code}`))),
  ]);
  return result;
}

import type { Bodies } from "../support/collection-queries.js";
import { runLoad } from "../support/load.js";
import type { LoadResult } from "../support/load-messages.js";
import type { Timing } from "./system.js";

/** Sends every body of a file once. @returns seconds until the last was answered. @throws Error when one was refused. */
export async function sendOnce(url: string, path: string, bodies: Bodies, clients: number): Promise<number> {
  const { failures, seconds } = await runLoad(url, {
    path,
    ...bodies,
    clients,
    once: true,
    warmUpMs: 0,
    durationMs: 0,
  });
  if (failures > 0) throw new Error(`${failures} requests to ${path} failed`);
  return seconds;
}

/** Asks with the bodies of a file, again and again. */
export function ask(url: string, path: string, bodies: Bodies, clients: number, timing: Timing): Promise<LoadResult> {
  return runLoad(url, { path, ...bodies, clients, ...timing });
}

/** @throws Error with the answer when it is no good one. */
export async function callJson<T>(method: string, url: string, body?: unknown): Promise<T> {
  const init =
    body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  const response = await fetch(url, { method, ...init });
  const answer = await response.text();
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${answer}`);
  return JSON.parse(answer) as T;
}

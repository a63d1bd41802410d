import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Connection } from "./connection.js";
import { HttpConnection, wireRequest } from "./http-connection.js";
import type { LoadResult, LoadTask, Sample } from "./load-messages.js";
import { summariseSamples } from "./load-result.js";
import { executeRequest, PostgresConnection, sqlRequest } from "./postgres-connection.js";

let stopped = false;

// Runs as a child process: one task comes as a message, perhaps "stop" after it, and the result goes back as one.
process.once("message", async (task: LoadTask) => {
  process.once("message", () => {
    stopped = true;
  });
  process.send?.(await runLoad(task), () => process.disconnect());
});

async function runLoad(task: LoadTask): Promise<LoadResult> {
  const requests = readFileSync(task.bodies, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => requestOf(task, line));
  const connections = await Promise.all(Array.from({ length: task.clients }, () => connect(task)));
  const load = task.rate === undefined ? atFullSpeed : atFixedRate;
  if (task.once !== true) await load(task, connections, requests, task.warmUpMs);
  const started = performance.now();
  const samples = await load(task, connections, requests, task.durationMs);
  const seconds = (performance.now() - started) / 1000;
  for (const connection of connections) connection.close();
  return { ...summariseSamples(samples, seconds), ...(task.samples === true ? { samples } : {}) };
}

function requestOf(task: LoadTask, line: string): Buffer {
  if ("path" in task) {
    const body = Buffer.from(line, task.contentType === undefined ? "utf8" : "base64");
    return wireRequest(`${task.host}:${task.port}`, task.path, body, task.contentType);
  }
  const { statement, binary = false } = task.postgres;
  return statement === undefined
    ? sqlRequest(line)
    : executeRequest(Buffer.from(line, binary ? "base64" : "utf8"), binary);
}

async function connect(task: LoadTask): Promise<Connection> {
  if ("path" in task) return HttpConnection.open(task.host, task.port);
  const { user, setup, statement } = task.postgres;
  const connection = await PostgresConnection.open(task.host, task.port, user);
  for (const sql of setup) await connection.query(sql);
  if (statement !== undefined) await connection.prepare(statement);
  return connection;
}

/** Closed loop: each client asks again as soon as it is answered. */
async function atFullSpeed(
  task: LoadTask,
  connections: Connection[],
  requests: Buffer[],
  ms: number,
): Promise<Sample[]> {
  const samples: Sample[] = [];
  const end = performance.now() + ms;
  let next = 0;
  const isOver = () => (task.once === true ? next >= requests.length : performance.now() >= end);
  const client = async (connection: Connection) => {
    while (!isOver() && !stopped) {
      const started = performance.now();
      await sendOne(connection, requests[next++ % requests.length], started, samples);
    }
  };
  await Promise.all(connections.map(client));
  return samples;
}

/**
 * Open loop: requests are due at fixed times, and a latency counts from when it was due, not from when a connection was
 * free; else a stalled server would be asked less and look better than it is.
 */
async function atFixedRate(
  task: LoadTask,
  connections: Connection[],
  requests: Buffer[],
  ms: number,
): Promise<Sample[]> {
  const samples: Sample[] = [];
  const interval = 1000 / (task.rate ?? 1);
  const started = performance.now();
  const count = Math.floor(ms / interval);
  let next = 0;
  const client = async (connection: Connection) => {
    while (next < count && !stopped) {
      const index = next++;
      const due = started + index * interval;
      const wait = due - performance.now();
      if (wait > 0) await sleep(wait);
      // A timer may be late; that is this process's own doing, unless the connections were all busy.
      const counted = wait > 0 ? performance.now() : due;
      await sendOne(connection, requests[index % requests.length], counted, samples);
    }
  };
  await Promise.all(connections.map(client));
  return samples;
}

async function sendOne(
  connection: Connection,
  request: Buffer | undefined,
  since: number,
  samples: Sample[],
): Promise<void> {
  if (request === undefined) throw new Error("no bodies to send");
  const status = await connection.send(request);
  const ms = performance.now() - since;
  samples.push({ at: performance.timeOrigin + since, ms, failed: status < 200 || status >= 300 });
}

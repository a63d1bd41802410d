import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { NotInstalled } from "./system.js";

const READY_MS = 60_000;

export interface PeerServer {
  port: number;
  /** Asks it to end, and waits. */
  close(): Promise<void>;
}

/**
 * Starts a server and waits until it is ready; it is killed when this process ends.
 * @param isReady whether a client is served at a port of 127.0.0.1.
 * @param signal what asks it to end.
 * @throws NotInstalled with what it wrote when it ends before.
 */
export async function startServer(
  command: readonly string[],
  port: number,
  isReady: (port: number) => Promise<boolean>,
  signal: NodeJS.Signals,
): Promise<PeerServer> {
  const [program = "", ...args] = command;
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  const killWithUs = () => child.kill("SIGKILL");
  process.once("exit", killWithUs);
  child.once("exit", () => process.off("exit", killWithUs));
  let written = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk) => {
      written = (written + chunk).slice(-4_000);
    });
  }
  child.once("error", (error) => {
    written += error.message;
  });
  const deadline = performance.now() + READY_MS;
  while (!(await isReady(port))) {
    if (hasEnded(child)) throw new NotInstalled(`${command.join(" ")} ended:\n${written}`);
    if (performance.now() > deadline) throw new Error(`${command.join(" ")} is not ready:\n${written}`);
    await sleep(50);
  }
  return { port, close: () => end(child, signal) };
}

/** A port that nobody listens on just now. */
export async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (hasEnded(child)) return;
  const ended = once(child, "exit");
  child.kill(signal);
  await ended;
}

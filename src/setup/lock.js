import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const POLL_MS = 250;
/** A lock directory without an owner file is being made, or its maker died in between: after this long, the latter. */
const UNOWNED_MS = 5_000;

/**
 * Takes the lock directory, waiting while another living process holds it, and returns a function that gives it back.
 * `onWait` gets one line when there is somebody to wait for. A lock whose process is gone is taken over.
 */
export async function acquireLock(directory, onWait) {
  let told = false;
  while (!tryLock(directory)) {
    const owner = readOwner(directory);
    if (isStale(directory, owner)) {
      discard(directory);
      continue;
    }
    if (!told) onWait(`another set-up is running (${describe(owner)}); waiting for it (${directory})`);
    told = true;
    await sleep(POLL_MS);
  }
  return guard(directory);
}

function tryLock(directory) {
  try {
    mkdirSync(directory);
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  }
  writeFileSync(path.join(directory, "owner.json"), JSON.stringify({ pid: process.pid, host: os.hostname() }));
  return true;
}

/** Gives the lock back on return, on exit and on a signal. */
function guard(directory) {
  let held = true;
  const release = () => {
    if (held) rmSync(directory, { recursive: true, force: true });
    held = false;
  };
  process.on("exit", release);
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ]) {
    process.on(signal, () => process.exit(code));
  }
  return release;
}

function readOwner(directory) {
  try {
    return JSON.parse(readFileSync(path.join(directory, "owner.json"), "utf8"));
  } catch {
    return undefined;
  }
}

function isStale(directory, owner) {
  if (owner === undefined) {
    const made = statSync(directory, { throwIfNoEntry: false })?.mtimeMs;
    return made !== undefined && Date.now() - made > UNOWNED_MS;
  }
  // Only a process of this machine can be asked whether it lives.
  return owner.host === os.hostname() && !isAlive(owner.pid);
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

/** Moved away first: of two processes that find the same stale lock only one wins the move, and neither deletes a new one half made. */
function discard(directory) {
  const aside = `${directory}.stale-${process.pid}.lock`;
  try {
    renameSync(directory, aside);
  } catch (error) {
    if (error.code === "ENOENT") return;
    throw error;
  }
  rmSync(aside, { recursive: true, force: true });
}

function describe(owner) {
  return owner === undefined ? "just starting" : `process ${owner.pid} on ${owner.host}`;
}

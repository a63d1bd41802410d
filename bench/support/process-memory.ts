import { readFileSync, writeFileSync } from "node:fs";

/** Bytes of a process that are in memory now. @throws Error where there is no /proc. */
export function residentBytes(pid: number): number {
  return statusField(pid, "VmRSS");
}

/** The most that `residentBytes` has been since the process began, or since `forgetPeak`. */
export function peakResidentBytes(pid: number): number {
  return statusField(pid, "VmHWM");
}

/** Lets the peak begin again from what is in memory now; Linux, for processes of the same user. */
export function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, "5");
}

function statusField(pid: number, field: string): number {
  const kibibytes = new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  if (kibibytes === undefined) throw new Error(`no ${field} in /proc/${pid}/status: has the process ended?`);
  return Number(kibibytes) * 1024;
}

import { readFileSync } from "node:fs";

/** Name of this machine's x86 CPU and its flags, with spaces between, as Linux tells them; undefined elsewhere. */
export function readCpu(file = "/proc/cpuinfo") {
  let text;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
  const field = (name) => new RegExp(`^${name}\\s*:\\s*(.*)$`, "m").exec(text)?.[1].trim();
  const flags = field("flags");
  return flags === undefined ? undefined : { name: field("model name") ?? "unknown", flags };
}

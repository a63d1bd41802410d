import { spawn } from "node:child_process";

/** A failure that the person can do something about; shown without a stack. */
export class SetupError extends Error {}

/**
 * Runs a command to its end and returns `{ code, output }`; output is stdout and stderr together, as they came.
 * `onLine` gets each line as it is written.
 */
export function runCommand(file, args, { cwd, env = process.env, onLine = () => {} }) {
  return new Promise((resolve, reject) => {
    // npm is a .cmd file on Windows, which only a shell can start.
    const shell = process.platform === "win32" && !file.endsWith(".exe");
    const child = spawn(file, args, { cwd, env, shell, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    const collect = (chunk) => {
      output += chunk;
      for (const line of String(chunk).split("\n")) if (line.trim() !== "") onLine(line.trim());
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code: code ?? 1, signal, output }));
  });
}

/** The last lines of a command's output, indented, for an error message. */
export function tail(output, lines = 30) {
  const kept = output.trimEnd().split("\n").slice(-lines);
  return kept.map((line) => `    ${line}`).join("\n");
}

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { EXIT, ExitError, type SetExitCode } from "../exit-codes.js";

/** Beside the compiled sources in a checkout; not part of the installed package, for they need its test data. */
const RUNNER = fileURLToPath(new URL("../../../bench/run.js", import.meta.url));

const EXAMPLE = `
Example:
  attune bench
  attune bench ann --help
  attune bench http --clients 1,8,32 --json http.json`;

export function benchCommand(setExitCode: SetExitCode): Command {
  return new Command("bench")
    .description("Run a benchmark; without a name, list them.")
    .argument("[name]")
    .argument("[options...]", "options of the benchmark; --help lists them")
    .allowUnknownOption()
    .helpOption(false)
    .passThroughOptions()
    .addHelpText("after", EXAMPLE)
    .action(async (name: string | undefined, options: string[], _flags: object, command: Command) => {
      if (name === "--help" || name === "-h") command.help();
      if (!existsSync(RUNNER)) {
        throw new ExitError(
          EXIT.failure,
          "error: the benchmarks are not in the installed package; they are in the repository: clone it and run\n  npm run bench -- NAME",
        );
      }
      const child = spawn(process.execPath, [RUNNER, ...(name === undefined ? [] : [name]), ...options], {
        stdio: "inherit",
      });
      const [code] = (await once(child, "close")) as [number | null];
      setExitCode(code ?? EXIT.interrupted);
    });
}

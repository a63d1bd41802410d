import { Command } from "commander";
import { VERSION } from "../collection/version.js";
import { benchCommand } from "./commands/bench.js";
import { collectionsCommand } from "./commands/collections.js";
import { exportCommand } from "./commands/export.js";
import { feedbackCommand } from "./commands/feedback.js";
import { generationsCommand } from "./commands/generations.js";
import { importCommand } from "./commands/import.js";
import { queryCommand } from "./commands/query.js";
import { serveCommand } from "./commands/serve.js";
import { tuneCommand } from "./commands/tune.js";
import { EXIT_HELP, type SetExitCode } from "./exit-codes.js";

/** The whole command line of `attune`. */
export function createProgram(setExitCode: SetExitCode): Command {
  const program = new Command("attune")
    .description("A vector search database that learns from what people call similar and dissimilar.")
    .version(VERSION)
    .enablePositionalOptions()
    .showHelpAfterError("(add --help for the options and an example)")
    .addHelpText("after", `\n${EXIT_HELP}\n\nThe address of the server is --url, or ATTUNE_URL.`);
  const commands = [
    serveCommand(),
    collectionsCommand(),
    importCommand(setExitCode),
    queryCommand(),
    feedbackCommand(),
    tuneCommand(setExitCode),
    generationsCommand(setExitCode),
    exportCommand(),
    benchCommand(setExitCode),
  ];
  program.exitOverride();
  for (const command of commands) adopt(program, command);
  return program;
}

/** Adds a command made elsewhere, and its own ones, with the parent's settings. */
function adopt(parent: Command, command: Command): void {
  if (!parent.commands.includes(command)) parent.addCommand(command);
  command.copyInheritedSettings(parent);
  for (const child of command.commands) adopt(command, child as Command);
}

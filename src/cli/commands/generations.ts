import { Command } from "commander";
import type { Generation } from "../../client/index.js";
import { makeContext, type ServerOptions, withServerOptions } from "../context.js";
import type { SetExitCode } from "../exit-codes.js";
import { followJob } from "../follow-job.js";
import { integer } from "../option-parsers.js";
import { formatBytes, formatCount } from "../terminal/format.js";
import { renderTable } from "../terminal/table.js";

const EXAMPLE = `
Example:
  attune generations list notes
  attune generations activate notes 0`;

export function generationsCommand(setExitCode: SetExitCode): Command {
  return new Command("generations")
    .description("List a collection's generations, or make one of them the active one (rollback).")
    .addHelpText("after", EXAMPLE)
    .addCommand(listCommand())
    .addCommand(activateCommand(setExitCode));
}

function listCommand(): Command {
  return withServerOptions(new Command("list").description("List the generations.").argument("<collection>"))
    .addHelpText("after", "\nExample:\n  attune generations list notes")
    .action(async (collection: string, options: ServerOptions) => {
      const context = makeContext(options);
      const generations = await context.client.collection(collection).generations();
      context.print({ generations }, describe(generations));
    });
}

function describe(generations: readonly Generation[]): string {
  const columns = [
    { title: "generation", align: "right" },
    { title: "active" },
    { title: "made" },
    { title: "by" },
    { title: "improvement", align: "right" },
    { title: "items", align: "right" },
    { title: "bytes", align: "right" },
  ] as const;
  const rows = generations.map((entry) => [
    String(entry.generation),
    entry.active ? "yes" : "",
    entry.createdAt.slice(0, 19).replace("T", " "),
    entry.fineTune === undefined ? "-" : `fine-tune ${entry.fineTune}`,
    entry.metrics === undefined ? "-" : entry.metrics.improvement.mean.toFixed(3),
    formatCount(entry.items),
    formatBytes(entry.bytes),
  ]);
  return renderTable(columns, rows);
}

function activateCommand(setExitCode: SetExitCode): Command {
  const command = new Command("activate")
    .description("Make a generation the active one; writes made since are kept. Waits until it is done.")
    .argument("<collection>")
    .argument("<generation>", "its number", integer(0));
  return withServerOptions(command)
    .addHelpText("after", "\nExample:\n  attune generations activate notes 0")
    .action(async (collection: string, generation: number, options: ServerOptions) => {
      const context = makeContext(options);
      const { id } = await context.client.collection(collection).activate(generation);
      const job = await followJob(context, collection, id, setExitCode);
      context.print(job, job.status === "promoted" ? `generation ${generation} is active` : "");
    });
}

import { Command, Option } from "commander";
import type { FineTuneOptions, Job } from "../../client/index.js";
import { makeContext, type ServerOptions, withServerOptions } from "../context.js";
import type { SetExitCode } from "../exit-codes.js";
import { followJob } from "../follow-job.js";
import { integer, number } from "../option-parsers.js";
import { renderMetrics } from "../terminal/metrics-table.js";

interface TuneOptions extends ServerOptions, FineTuneOptions {
  detach?: boolean;
}

const EXAMPLE = `
Example:
  attune tune notes
  attune tune notes --promote never --seed 7 --json`;

export function tuneCommand(setExitCode: SetExitCode): Command {
  const command = new Command("tune")
    .description("Fine-tune a collection from its feedback, showing progress and the figures before and after.")
    .argument("<collection>")
    .option("--margin <distance>", "margin of the triplet loss, in distance units", number)
    .option("--epochs <count>", "passes over the feedback", integer(1, 10_000))
    .option("--batch-size <count>", "triplets of a step", integer(2, 4096))
    .option("--learning-rate <rate>", "step size of the optimizer", number)
    .option("--seed <seed>", "of everything random", integer(0, 4_294_967_295))
    .addOption(new Option("--from <start>", "where training starts (default: base)").choices(["base", "active"]))
    .option("--min-gain <gain>", "what the lower bound of the improvement must exceed", number)
    .option("--max-drift <share>", "share of neighbours that may change", number)
    .addOption(
      new Option("--promote <when>", "when the result goes live (default: if-better)").choices([
        "if-better",
        "always",
        "never",
      ]),
    )
    .option("--detach", "start the job, print its id, and do not wait");
  return withServerOptions(command)
    .addHelpText("after", `${EXAMPLE}\n\nCtrl-C asks the server to cancel the job; a second Ctrl-C leaves it running.`)
    .action((collection: string, options: TuneOptions) => tune(collection, options, setExitCode));
}

async function tune(collection: string, options: TuneOptions, setExitCode: SetExitCode): Promise<void> {
  const context = makeContext(options);
  const { url: _url, json: _json, detach, ...fineTune } = options;
  const started = await context.client.collection(collection).startFineTune(fineTune);
  if (detach === true) {
    context.print(started, `started ${started.id}`);
    return;
  }
  const job = await followJob(context, collection, started.id, setExitCode);
  context.print(job, describe(job));
}

function describe(job: Job): string {
  const parts = job.metrics === undefined ? [] : [renderMetrics(job.metrics)];
  if (job.status === "promoted") parts.push(`promoted: generation ${job.generation} is active`);
  if (job.status === "ready")
    parts.push(`kept as generation ${job.generation}, not active: attune generations activate`);
  return parts.join("\n");
}

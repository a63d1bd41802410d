import { Command } from "commander";
import { makeContext, type ServerOptions, withServerOptions } from "../context.js";
import { type SetExitCode, UsageError } from "../exit-codes.js";
import { followJob } from "../follow-job.js";
import { renderReport } from "../terminal/tune-report.js";
import { addTuneOptions, fineTuneOptions, type GivenTuneOptions } from "../tune-options.js";

type TuneOptions = ServerOptions & GivenTuneOptions & { detach?: boolean; resume?: string };

const EXAMPLE = `
Example:
  attune tune notes
  attune tune notes --loss auto --dry-run
  attune tune photos --scope encoder --source augmentation
  attune tune notes --resume 4

Ctrl-C asks the server to cancel the job; a second Ctrl-C leaves it running.`;

export function tuneCommand(setExitCode: SetExitCode): Command {
  const command = new Command("tune")
    .description("Fine-tune a collection from its feedback, showing progress and a report of what changed.")
    .argument("<collection>")
    .option("--detach", "start the job, print its id, and do not wait")
    .option("--resume <job>", "go on with a job that a stop of the server cut off");
  return addTuneOptions(withServerOptions(command))
    .addHelpText("after", EXAMPLE)
    .action((collection: string, options: TuneOptions) => tune(collection, options, setExitCode));
}

async function tune(collection: string, options: TuneOptions, setExitCode: SetExitCode): Promise<void> {
  const context = makeContext(options);
  const { url: _url, json: _json, detach, resume, ...given } = options;
  const jobs = context.client.collection(collection);
  if (resume !== undefined && Object.keys(given).length > 0) {
    throw new UsageError("--resume goes on with the options that the job began with; leave out the others");
  }
  const started = await (resume === undefined
    ? jobs.startFineTune(fineTuneOptions(given))
    : jobs.resumeFineTune(resume));
  if (detach === true) {
    context.print(started, `started ${started.id}`);
    return;
  }
  const job = await followJob(context, collection, started.id, setExitCode);
  context.print(job, renderReport(job));
}

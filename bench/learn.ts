import path from "node:path";
import { drawingSettings } from "./learn/drawings.js";
import { intentSettings } from "./learn/intents.js";
import { type Found, type Run, runSetting, type Setting } from "./learn/setting.js";
import { readArgs } from "./support/args.js";
import { loadIntentData } from "./support/intent-data.js";
import { loadOmniglot } from "./support/omniglot.js";
import { mean } from "./support/percentile.js";
import { Report, type Row } from "./support/report.js";
import { temporaryDirectory } from "./support/temporary.js";

const args = readArgs(
  "What can be learnt, over HTTP: heads and encoders from triplets and labels on Banking77, an image encoder from no labels\n" +
    "and from some on Omniglot. Every run starts from the same untuned collection and ends with a search by what was promoted.",
  {
    data: { default: "banking77", describe: "banking77, banking77-validation or synthetic" },
    count: { default: 600, describe: "texts of the synthetic data" },
    drawings: { default: 0, describe: "at most so many of Omniglot's drawings; 0 for all" },
    settings: { default: [1, 2, 3, 4, 5, 6], describe: "which settings, by number" },
    seeds: { default: [1, 2, 3], describe: "one run each; of drawing the feedback and of training" },
    options: { default: "{}", describe: "more options of every fine-tune, as JSON" },
  },
);

const report = new Report("learn", args);
const directory = temporaryDirectory();
const settings: Setting[] = [];
const wanted = (from: number, to: number) => args.settings.some((number) => number >= from && number <= to);
if (wanted(1, 4)) settings.push(...(await intentSettings(loadIntentData(args.data, { count: args.count }), directory)));
else settings.length = 4;
if (wanted(5, 6)) {
  const drawings = loadOmniglot();
  settings.push(
    ...(await drawingSettings(args.drawings === 0 ? drawings : drawings.slice(0, args.drawings), directory)),
  );
}
const runs: Run[] = [];
const untrained = new Map<string, Found>();
const measured: Setting[] = [];
for (const number of args.settings) {
  const setting = settings[number - 1];
  if (setting === undefined) throw new Error(`there is no setting ${number}; there are 1 to 6`);
  measured.push(setting);
  untrained.set(setting.name, await setting.untrained());
  const options = { ...setting.options, ...JSON.parse(args.options) };
  for (const seed of args.seeds) {
    const run = await runSetting({ ...setting, options }, seed, path.join(directory, "run"));
    runs.push(run);
    const { job } = run;
    report.note(
      `${setting.name}, seed ${seed}: ${job.status}${job.reason === undefined ? "" : ` (${job.reason})`}, ` +
        `R@1 ${run["R@1"].toFixed(4)}, ${JSON.stringify(job.recipe)}, ${JSON.stringify(job.timings)}`,
    );
  }
}
report.table("every run", runs.map(asRow));
report.table(`mean and range over ${args.seeds.length} seeds`, measured.map(summary));
report.save(args.json);

function asRow({ setting, seed, job, wallMs, ...found }: Run): Row {
  const { recipe, plan, peakMemoryBytes, metrics } = job;
  return {
    setting,
    seed,
    outcome: job.status,
    "R@1": found["R@1"],
    "P@10": found["P@10"],
    loss: recipe?.loss,
    "gain, low": metrics?.improvement.low,
    drift: metrics?.drift,
    minutes: wallMs / 60_000,
    "memory stated, MiB": plan === undefined ? undefined : plan.memoryBytes / 2 ** 20,
    "measured, MiB": peakMemoryBytes === undefined ? undefined : peakMemoryBytes / 2 ** 20,
  };
}

function summary({ name, goal, rawPixels }: Setting): Row {
  const of = runs.filter(({ setting }) => setting === name);
  const before = untrained.get(name);
  return {
    setting: name,
    goal,
    promoted: `${of.filter(({ job }) => job.status === "promoted").length} of ${of.length}`,
    "R@1 raw pixels": rawPixels?.["R@1"],
    "R@1 untrained": before?.["R@1"],
    "R@1": range(of.map((run) => run["R@1"])),
    "P@10 untrained": before?.["P@10"],
    "P@10": range(of.flatMap((run) => run["P@10"] ?? [])),
    minutes: range(
      of.map(({ wallMs }) => wallMs / 60_000),
      1,
    ),
  };
}

function range(values: number[], digits = 4): string | undefined {
  if (values.length === 0) return undefined;
  const [low, high] = [Math.min(...values), Math.max(...values)].map((value) => value.toFixed(digits));
  return values.length === 1 ? low : `${mean(values).toFixed(digits)} (${low} to ${high})`;
}

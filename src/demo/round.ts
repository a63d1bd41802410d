import { jobProgress } from "../cli/follow-job.js";
import { formatCount, formatDuration } from "../cli/terminal/format.js";
import { renderMetrics } from "../cli/terminal/metrics-table.js";
import type { ProgressReporter } from "../cli/terminal/progress-reporter.js";
import { RateMeter } from "../cli/terminal/rate-meter.js";
import type { AttuneClient, CollectionClient, Job } from "../client/index.js";
import { type Emoji, emojiItem, loadEmoji } from "./emoji.js";
import { type Correction, gatherCorrections, splitEmoji } from "./opinions.js";
import { measureQuality } from "./quality.js";
import { heading, renderHits, renderQuality, took } from "./story.js";

export interface Round {
  client: AttuneClient;
  progress: ProgressReporter;
  seed: number;
  signal: AbortSignal;
}

const QUERY = "footwear";
const BATCH = 100;

/** Load, query, feedback, fine-tune, the same query again, and the figures on emoji that no feedback touched. */
export async function playRound(round: Round): Promise<void> {
  const { client, progress, seed, signal } = round;
  const emoji = loadEmoji();
  const { collection } = await client.createCollection("emoji", { modality: "text" });
  console.log(heading(`1. Load ${formatCount(emoji.length)} emoji: label and tags as text`));
  await load(collection, emoji, progress, signal);

  console.log(heading(`2. Search for "${QUERY}"`));
  await showQuery(collection, signal);
  const { asked, heldOut } = splitEmoji(emoji, seed);
  const before = await measureQuality(collection, emoji, heldOut);

  console.log(heading("3. People say what belongs together"));
  const corrections = await gatherCorrections(collection, asked);
  const labels = asked.map(({ id, subgroup }) => ({ item: id, label: subgroup }));
  await collection.submitFeedback({ labels, triplets: corrections }, { signal });
  describeFeedback(asked, corrections, heldOut.length);

  console.log(heading("4. Fine-tune, judged on feedback held out from the training"));
  const job = await fineTune(round, collection);
  describeVerdict(job);

  console.log(heading(`5. Search for "${QUERY}" again`));
  await showQuery(collection, signal);
  const after = await measureQuality(collection, emoji, heldOut);

  console.log(heading(`6. Before and after, on ${formatCount(heldOut.length)} emoji that no feedback touched`));
  console.log(renderQuality(before, after));
}

async function load(
  collection: CollectionClient,
  emoji: readonly Emoji[],
  progress: ProgressReporter,
  signal: AbortSignal,
): Promise<void> {
  const started = performance.now();
  const meter = new RateMeter();
  for (let count = 0; count < emoji.length; count += BATCH) {
    meter.record(count);
    const figures = {
      total: emoji.length,
      unit: "emoji",
      rate: meter.perSecond,
      etaMs: meter.etaMs(emoji.length - count),
    };
    progress.update({ label: "loading", count, ...figures });
    await collection.upsert(emoji.slice(count, count + BATCH).map(emojiItem), { signal });
  }
  progress.end();
  console.log(`  ${took(`${formatCount(emoji.length)} emoji embedded, on disk and searchable`, started)}`);
}

async function showQuery(collection: CollectionClient, signal: AbortSignal): Promise<void> {
  const { results, generation, tookMs } = await collection.query({ text: QUERY, k: 10 }, { signal });
  console.log(renderHits(results));
  console.log(`  generation ${generation}, ${formatDuration(tookMs)}`);
}

function describeFeedback(asked: readonly Emoji[], corrections: readonly Correction[], heldOut: number): void {
  const byId = new Map(asked.map((entry) => [entry.id, entry]));
  const show = (id: string) => `${byId.get(id)?.label ?? id} ${byId.get(id)?.emoji ?? ""}`;
  const every = <T>(list: readonly T[]) => list.filter((_, i) => i % Math.ceil(list.length / 3) === 0);
  console.log("  Unicode's subgroups stand in for the people here.");
  console.log(`  ${formatCount(asked.length)} labels, such as:`);
  for (const { id, subgroup } of every(asked)) console.log(`    ${subgroup}: ${show(id)}`);
  console.log(`  ${formatCount(corrections.length)} corrections of result lists, such as:`);
  for (const { anchor, positive, negative } of every(corrections)) {
    console.log(`    for ${show(anchor)}: rather ${show(positive)} than ${show(negative)}`);
  }
  console.log(`  ${formatCount(heldOut)} other emoji are left out of all of it, to measure by.`);
}

async function fineTune({ progress, seed, signal }: Round, collection: CollectionClient): Promise<Job> {
  const started = performance.now();
  const { id } = await collection.startFineTune({ seed });
  let last: Job | undefined;
  for await (const job of collection.watchFineTune(id, { signal })) {
    last = job;
    progress.update(jobProgress(job));
  }
  progress.end();
  const job = last ?? (await collection.fineTune(id));
  console.log(`  ${took(`job ${id} ${job.status}`, started)}`);
  return job;
}

function describeVerdict(job: Job): void {
  if (job.metrics !== undefined) console.log(renderMetrics(job.metrics).replace(/^/gm, "  "));
  if (job.status === "promoted")
    console.log(`  The gate promoted it: generation ${job.generation} is live, without a pause.`);
  else console.log(`  Not promoted: ${job.reason ?? job.status}. The search stays as it was.`);
}

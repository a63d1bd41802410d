import type { ItemToSend } from "../client/index.js";
import type { Context } from "./context.js";
import { batchRecords } from "./input/batches.js";
import { type ImportState, removeImportState, writeImportState } from "./input/import-state.js";
import type { InputRecord } from "./input/input-record.js";
import type { Origin } from "./input/source.js";
import { onInterrupt } from "./stop-signal.js";
import { formatCount } from "./terminal/format.js";
import { RateMeter } from "./terminal/rate-meter.js";

export interface ImportJob {
  records: () => AsyncIterable<InputRecord>;
  source: Origin;
  /** The file that a line stands for, where records are files of a folder. */
  fileOf?: (line: number) => string | undefined;
  /** Lines up to `start.line` are skipped. */
  start: ImportState;
  /** Where the progress is noted, if anywhere. */
  stateFile: string | undefined;
  /** Records of a request. */
  batch: number;
}

export interface ImportSummary {
  /** Over all runs of a resumed import. */
  upserted: number;
  failed: number;
  /** The first 1,000 refused lines of this run. */
  errors: RefusedLine[];
  /** The last line that was dealt with. */
  line: number;
  /** True after Ctrl-C. */
  stopped: boolean;
  elapsedMs: number;
  /** Items a second of this run. */
  rate?: number;
}

export interface RefusedLine {
  line: number;
  /** Where records are files of a folder. */
  file?: string;
  code: string;
  detail: string;
}

const MAX_ERRORS = 1_000;
const MAX_SHOWN = 20;

/**
 * Sends records in requests of newline-delimited JSON, one at a time: the next is read when the server has answered, so
 * that a slow server holds the reading back, and what was answered is known to be on its disk. Refused lines are shown.
 */
export async function importRecords(context: Context, job: ImportJob): Promise<ImportSummary> {
  const state = { ...job.start };
  const errors: RefusedLine[] = [];
  const meter = new RateMeter();
  const started = performance.now();
  let stopped = false;
  const undo = onInterrupt(() => {
    stopped = true;
    context.progress.note("stopping after the request in flight (Ctrl-C again ends at once)");
  });
  try {
    for await (const batch of batchRecords(skipTo(job.records(), job.start.line), job.batch)) {
      await sendBatch(context, batch, state, errors, job.fileOf);
      if (job.stateFile !== undefined) writeImportState(job.stateFile, state);
      meter.record(state.upserted - job.start.upserted);
      showProgress(context, job, state, meter, batch.at(-1)?.bytes ?? 0);
      if (stopped) break;
    }
  } finally {
    undo();
  }
  if (!stopped && job.stateFile !== undefined) removeImportState(job.stateFile);
  const elapsedMs = performance.now() - started;
  const sent = state.upserted - job.start.upserted;
  const rate = sent === 0 ? undefined : (sent * 1000) / elapsedMs;
  return { upserted: state.upserted, failed: state.failed, errors, line: state.line, stopped, elapsedMs, rate };
}

async function* skipTo(records: AsyncIterable<InputRecord>, line: number): AsyncGenerator<InputRecord> {
  for await (const record of records) if (record.line > line) yield record;
}

async function sendBatch(
  context: Context,
  batch: readonly InputRecord[],
  state: ImportState,
  errors: RefusedLine[],
  fileOf: ImportJob["fileOf"],
): Promise<void> {
  const sent = batch.filter((record) => record.item !== undefined);
  const refused = batch.flatMap(({ line, problem }) =>
    problem === undefined ? [] : [{ line, code: "unreadable_line", detail: problem }],
  );
  if (sent.length > 0) {
    const answer = await context.client
      .collection(state.collection)
      .importItems(sent.map((record) => record.item as ItemToSend));
    state.upserted += answer.upserted;
    state.failed += answer.failed;
    refused.push(
      ...answer.errors.map(({ line, code, detail }) => ({ line: sent[line - 1]?.line ?? line, code, detail })),
    );
    // Problems may be told ahead of the records above them, so that they do not count as a place to go on from.
    state.line = sent.at(-1)?.line ?? state.line;
  }
  state.failed += batch.length - sent.length;
  for (const entry of refused.sort((a, b) => a.line - b.line)) {
    const file = fileOf?.(entry.line);
    report(context, file === undefined ? entry : { ...entry, file }, errors);
  }
}

function report(context: Context, entry: RefusedLine, errors: RefusedLine[]): void {
  if (errors.length < MAX_SHOWN)
    context.progress.note(`${entry.file ?? `line ${entry.line}`}: ${entry.detail} (${entry.code})`);
  if (errors.length === MAX_SHOWN) context.progress.note("more were refused; --json lists up to 1,000");
  if (errors.length < MAX_ERRORS) errors.push(entry);
}

function showProgress(
  { progress }: Context,
  job: ImportJob,
  state: ImportState,
  meter: RateMeter,
  bytes: number,
): void {
  const { source } = job;
  const rate = meter.perSecond;
  const fraction = source.bytes === undefined || source.bytes === 0 ? undefined : bytes / source.bytes;
  // Both count from the start of the file, whichever run that was in.
  const left = fraction === undefined || fraction <= 0 ? undefined : state.upserted / fraction - state.upserted;
  progress.update({
    label: `importing into ${state.collection}`,
    count: state.upserted,
    unit: "items",
    fraction,
    rate,
    etaMs: left === undefined ? undefined : meter.etaMs(left),
    note: state.failed === 0 ? undefined : `${formatCount(state.failed)} refused`,
  });
}

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { FineTuneOptions } from "../../../schemas/index.js";
import type { FineTuneTask, NumberedFeedback } from "../../training/index.js";
import type { CollectionState } from "../collection-state.js";
import { referenceKey, type StoredReference } from "../feedback/feedback-reference.js";
import { referencesOf, type StoredFeedback } from "../feedback/feedback-store.js";

/** The snapshot of a collection that a fine-tune works on, written into its folder. */
export interface FineTuneFiles {
  taskFile: string;
  model: string;
  vectors: string;
  /** Items changed up to this sequence are in it. */
  sequence: number;
}

export interface TaskSettings {
  options: FineTuneOptions;
  threads: number;
  niceness: number;
  activeHead: string | undefined;
}

/** Numbers what feedback refers to: items by their place among the live labels, other content after them. */
class Numbering {
  private readonly positions: Map<number, number>;
  private readonly extra = new Map<string, number>();
  /** Content that is no item, in order of its numbers. */
  readonly contents: Exclude<StoredReference, { item: string }>[] = [];

  constructor(
    private readonly labels: Uint32Array,
    private readonly labelOf: (id: string) => number | undefined,
  ) {
    this.positions = new Map(Array.from(labels, (label, position) => [label, position]));
  }

  of(reference: StoredReference): number {
    if ("item" in reference) {
      const position = this.positions.get(this.labelOf(reference.item) ?? -1);
      if (position === undefined) throw new Error(`feedback about ${reference.item}, which is not live`);
      return position;
    }
    const key = referenceKey(reference);
    const known = this.extra.get(key);
    if (known !== undefined) return known;
    const number = this.labels.length + this.contents.length;
    this.extra.set(key, number);
    this.contents.push(reference);
    return number;
  }
}

/** Writes what the child process of a fine-tune needs into `folder`: labels, feedback, vectors of what is no item, the task. */
export async function writeFineTuneFiles(
  folder: string,
  feedback: StoredFeedback[],
  state: CollectionState,
  settings: TaskSettings,
): Promise<FineTuneFiles> {
  // Taken in one turn of the event loop, so that labels, feedback and sequence belong together.
  const { sequence, table } = state;
  const { labels } = table.snapshot();
  const numbering = new Numbering(labels, (id) => table.labelOf(id));
  const numbered = numberFeedback(feedback, (reference) => numbering.of(reference));

  await mkdir(folder, { recursive: true });
  const path = (name: string) => join(folder, name);
  const extra = await embedContents(numbering.contents, state);
  await writeFile(path("labels.u32"), labels);
  await writeFile(path("feedback.json"), JSON.stringify(numbered));
  await writeFile(path("extra.f32"), extra);
  const { seed = 0, ...options } = settings.options;
  const task: FineTuneTask = {
    dimensions: state.rules.dimensions,
    metric: state.rules.metric,
    seed,
    threads: settings.threads,
    niceness: settings.niceness,
    rows: state.base.path,
    liveLabels: path("labels.u32"),
    ...(numbering.contents.length === 0
      ? {}
      : { extraRows: { path: path("extra.f32"), count: numbering.contents.length } }),
    feedback: path("feedback.json"),
    ...(settings.activeHead === undefined ? {} : { activeHead: settings.activeHead }),
    options,
    output: { model: path("head.onnx"), vectors: path("vectors.f32") },
  };
  const taskFile = path("task.json");
  await writeFile(taskFile, JSON.stringify(task));
  return { taskFile, ...task.output, sequence };
}

/** Feedback with numbers instead of references; throws where a reference is to no live item. */
export function numberFeedback(
  feedback: StoredFeedback[],
  number: (reference: StoredReference) => number,
): NumberedFeedback {
  const numbered: NumberedFeedback = { pairs: [], triplets: [], labels: [] };
  for (const piece of feedback) {
    const [first = 0, second = 0, third = 0] = referencesOf(piece).map(number);
    if (piece.kind === "pair") numbered.pairs.push([first, second, piece.label]);
    else if (piece.kind === "triplet") numbered.triplets.push([first, second, third]);
    else numbered.labels.push([first, piece.label]);
  }
  return numbered;
}

/** Text content is a query that somebody judged, so it is embedded as one. */
async function embedContents(
  contents: Exclude<StoredReference, { item: string }>[],
  { embedder, rules }: CollectionState,
): Promise<Float32Array> {
  const rows = new Float32Array(contents.length * rules.dimensions);
  const texts = contents.flatMap((content) => ("text" in content ? [content.text] : []));
  const encoded = texts.length === 0 ? new Float32Array() : await embedder.embed(texts, "query");
  let text = 0;
  contents.forEach((content, i) => {
    const row =
      "text" in content
        ? encoded.subarray(text * rules.dimensions, ++text * rules.dimensions)
        : new Float32Array(Uint8Array.from(Buffer.from(content.vector, "base64")).buffer);
    rows.set(row, i * rules.dimensions);
  });
  return rows;
}

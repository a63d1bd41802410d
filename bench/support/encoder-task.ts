import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describeEncoder, openEncoder } from "../../src/encoder/index.js";
import type { FineTuneTask, GivenOptions, NumberedFeedback } from "../../src/training/index.js";

export interface EncoderTaskOptions {
  /** Of the encoder to train, such as `use-lite`. */
  spec: string;
  texts: readonly string[];
  /** Items are texts by their place. */
  feedback: Partial<NumberedFeedback>;
  options?: GivenOptions;
  seed?: number;
  threads?: number;
}

/** Writes the files of a task that trains a text encoder, as a collection does it, into a folder. */
export async function writeEncoderTask(directory: string, given: EncoderTaskOptions): Promise<FineTuneTask> {
  const { spec, texts, feedback, options = {}, seed = 1, threads = 1 } = given;
  mkdirSync(directory, { recursive: true });
  const path = (name: string) => join(directory, name);
  const encoder = await openEncoder(spec);
  const { vectors } = await encoder.encode(texts);
  await encoder.close();
  writeFileSync(path("rows.f32"), vectors);
  writeFileSync(
    path("labels.u32"),
    Uint32Array.from(texts, (_, i) => i),
  );
  writeFileSync(path("feedback.json"), JSON.stringify({ pairs: [], triplets: [], labels: [], ...feedback }));
  writeFileSync(path("contents.jsonl"), texts.map((text) => `${JSON.stringify({ text })}\n`).join(""));
  return {
    dimensions: encoder.dimensions,
    metric: "cosine",
    seed,
    threads,
    niceness: 0,
    rows: path("rows.f32"),
    liveLabels: path("labels.u32"),
    feedback: path("feedback.json"),
    options: { scope: "encoder", ...options },
    encoder: { model: await describeEncoder(spec), contents: path("contents.jsonl"), checkpoints: path("checkpoints") },
    output: { model: path("encoder.onnx"), vectors: path("vectors.f32") },
  };
}

import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { Job } from "../../schemas/index.js";
import type { Collection, Database, DatabaseOptions } from "../../src/collection/index.js";
import { Random } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";
import { temporaryDirectory } from "../support/temporary-directory.js";
import { ended, openDatabase } from "./support.js";
import { classTexts, tinyEncoder } from "./tuned-generation.js";

/** Options that teach the tiny encoder the classes. */
export const QUICK = { scope: "encoder", learningRate: 0.02, epochs: 4, batchSize: 32, seed: 1 } as const;
/** Long enough to be cut off in the middle. */
export const LONG = { ...QUICK, epochs: 24, learningRate: 0.005 } as const;

/** A database with 360 texts under the tiny encoder, of which the first 200 are labelled by their class. */
export async function labelledTexts(t: TestContext) {
  const random = new Random(seedOf("encoder fine-tune", 8));
  const folder = temporaryDirectory(t);
  const directory = join(folder, "data");
  const database = await openDatabase(t, { directory });
  await database.createCollection("texts", { modality: "text", encoder: tinyEncoder(folder, 4) });
  const texts = database.collection("texts");
  const items = classTexts(random, 360);
  await texts.upsert(items.map(({ id, text, class: label }) => ({ id, text, payload: { label } })));
  await texts.submitFeedback({ labels: items.slice(0, 200).map(({ id, class: label }) => ({ item: id, label })) });
  return { folder, directory, database, texts };
}

/** Closes the database and opens it again. */
export async function restart(t: TestContext, database: Database, options: Partial<DatabaseOptions> = {}) {
  await database.close();
  const again = await openDatabase(t, { directory: database.directory, ...options });
  return { database: again, texts: again.collection("texts") };
}

/** Runs a fine-tune to its end. */
export async function tune(texts: Collection, options: Parameters<Collection["startFineTune"]>[0]): Promise<Job> {
  return ended(texts, (await texts.startFineTune(options)).id);
}

/** Checks the folders of jobs that are there a moment later: a job ends before its folder is gone. */
export async function jobFolders(directory: string, expected: string[]): Promise<void> {
  const [uid] = await readdir(join(directory, "collections"));
  const folders = () => readdir(join(directory, "collections", uid!, "jobs")).catch(() => []);
  for (let waited = 0; String(await folders()) !== String(expected) && waited < 5000; waited += 20)
    await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(await folders(), expected);
}

/** Whether an error has this code, for `assert.rejects`. */
export const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected;

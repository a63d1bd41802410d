import type { TestContext } from "node:test";
import type { Job } from "../../schemas/index.js";
import { type Collection, Database, type DatabaseOptions } from "../../src/collection/index.js";
import { cleanUp } from "../support/clean-up.js";
import { itemId, type Learnable } from "../support/learnable.js";
import { temporaryDirectory } from "../support/temporary-directory.js";

/** A real database in a directory of its own, closed with the test. */
export async function openDatabase(t: TestContext, options: Partial<DatabaseOptions> = {}): Promise<Database> {
  const directory = options.directory ?? temporaryDirectory(t);
  const database = await Database.open({ threads: 2, ...options, directory });
  cleanUp(t, () => database.close());
  return database;
}

export async function vectorCollection(database: Database, dimensions: number, settings = {}): Promise<Collection> {
  await database.createCollection("things", { modality: "vector", dimensions, ...settings });
  return database.collection("things");
}

/** Fills a collection with learnable vectors. */
export async function fill(collection: Collection, data: Learnable): Promise<void> {
  await collection.upsert(
    data.vectors.map((vector, i) => ({ id: itemId(i), vector, payload: { class: data.classes[i] } })),
  );
}

/** Resolves with the job as it ended. */
export function ended(collection: Collection, id: string): Promise<Job> {
  return until(collection, id, (job) => job.status !== "queued" && job.status !== "running");
}

/** Resolves when the job is in a state that `holds`; rejects when it ended in another. */
export function until(collection: Collection, id: string, holds: (job: Job) => boolean): Promise<Job> {
  return new Promise((resolve, reject) => {
    collection.watchJob(id, (job) => {
      if (holds(job)) resolve(job);
      else if (job.status !== "queued" && job.status !== "running") {
        reject(new Error(`job ${id} ended as ${job.status}: ${job.reason ?? ""}`));
      }
    });
  });
}

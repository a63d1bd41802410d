import { AttuneClient, type CollectionClient, type FineTuneOptions, type Job } from "../../src/client/index.js";
import { startServerProcess } from "../support/server-process.js";
import { copyDirectory } from "../support/temporary.js";

export type Feedback = Parameters<CollectionClient["submitFeedback"]>[0];

/** What one run of a setting found. */
export interface Found {
  "R@1": number;
  "P@10"?: number;
}

/** One way of learning: what is said about which collection, how it is trained, and what is measured afterwards. */
export interface Setting {
  name: string;
  /** The figures that it should reach, for people. */
  goal: string;
  options: FineTuneOptions;
  /** The part of the collection that is measured, as it is without any training. */
  untrained(): Promise<Found>;
  /** The same by the images' pixels alone. */
  rawPixels?: Found;
  feedback(collection: CollectionClient, seed: number): Promise<Feedback>;
  measure(collection: CollectionClient): Promise<Found>;
  /** Folder of a server's data with the collection, never written to. */
  prepared: string;
  collection: string;
}

export interface Run extends Found {
  setting: string;
  seed: number;
  job: Job;
  wallMs: number;
}

/** A submission of feedback is limited to 10,000 pieces. */
const PIECES = 5_000;

/** One run of a setting on a copy of its collection, over HTTP as a user would. */
export async function runSetting(setting: Setting, seed: number, copy: string): Promise<Run> {
  copyDirectory(setting.prepared, copy);
  return withServer(copy, async (client) => {
    const collection = client.collection(setting.collection);
    await submit(collection, await setting.feedback(collection, seed));
    const started = performance.now();
    const { id } = await collection.startFineTune({ ...setting.options, seed });
    const job = await collection.waitForFineTune(id);
    const wallMs = performance.now() - started;
    return { setting: setting.name, seed, job, wallMs, ...(await setting.measure(collection)) };
  });
}

async function submit(collection: CollectionClient, { triplets = [], labels = [] }: Feedback): Promise<void> {
  for (let i = 0; i < triplets.length; i += PIECES)
    await collection.submitFeedback({ triplets: triplets.slice(i, i + PIECES) });
  for (let i = 0; i < labels.length; i += PIECES)
    await collection.submitFeedback({ labels: labels.slice(i, i + PIECES) });
}

/** Serves a data directory while `work` is done. */
export async function withServer<T>(data: string, work: (client: AttuneClient) => Promise<T>): Promise<T> {
  const server = await startServerProcess({ data });
  const client = new AttuneClient({ baseUrl: server.url, timeoutMs: 600_000 });
  try {
    return await work(client);
  } finally {
    client.close();
    await server.stop();
  }
}

import type { Job, JobStatus } from "../../schemas/index.js";

const UNDER_WAY: readonly JobStatus[] = ["queued", "running"];

/** Whether the job will not change any more. */
export const hasEnded = (job: Job): boolean => !UNDER_WAY.includes(job.status);

/** Reads the `job` events of a stream of server-sent events; comments and other events are passed over. */
export async function* readJobEvents(stream: AsyncIterable<Buffer>): AsyncGenerator<Job> {
  for await (const event of splitEvents(stream)) {
    const lines = event.split("\n");
    if (!lines.includes("event: job")) continue;
    const data = lines.filter((line) => line.startsWith("data: ")).map((line) => line.slice("data: ".length));
    yield JSON.parse(data.join("\n")) as Job;
  }
}

/** An event ends with an empty line. */
async function* splitEvents(stream: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    rest += decoder.decode(chunk, { stream: true });
    const events = rest.split("\n\n");
    rest = events.pop() ?? "";
    yield* events;
  }
}

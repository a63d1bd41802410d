import type { BenchResult } from "../support/report.js";
import type { LinePlot } from "./line-plot.js";
import { feedbackToLivePlots, recallPlots } from "./plots.js";

/** One part of the page: the results of one benchmark. */
export interface Section {
  bench: string;
  title: string;
  /** What is measured, in a sentence or two. */
  about: string;
  /** What the figures should reach, where that was said beforehand. */
  goal?: string;
  plots?: (results: readonly BenchResult[]) => LinePlot[];
}

/** In the order of the page. */
export const SECTIONS: readonly Section[] = [
  {
    bench: "peers",
    title: "Beside other systems",
    about:
      "The same vectors and queries in every system, client and server on the same cores, each at the smallest efSearch that " +
      "reaches the recall, in rounds over all systems; and durable inserts of given vectors. Ratios are to other rows of the same run.",
    goal:
      "JSON arrays at 8 and 32 clients at least 4.5 times Chroma's queries a second and 1.4 times pgvector's, base64 at least 7 " +
      "and 2.2 times, p99 at 32 clients at most 25 ms; inserts at least 2 times Chroma's acknowledged rate, and 1.3 times with " +
      "the clock stopped at zero index lag.",
  },
  {
    bench: "http",
    title: "Queries over HTTP",
    about: "Queries a second and their latencies in ms, each client on a kept connection with one request in flight.",
  },
  {
    bench: "ann",
    title: "Recall against queries a second",
    about: "The index in process, beside hnswlib-node as npm builds it, over the breadth of the search (efSearch).",
    goal: "GloVe 100,000 x 100: at least 1.35 times the queries a second of hnswlib-node as npm builds it at equal recall.",
    plots: recallPlots,
  },
  {
    bench: "filter",
    title: "Filtered queries",
    about:
      "Recall and queries a second over HTTP when a filter lets only a part of the items through, beside no filter.",
    goal: "At 1% and 10%: recall@10 at least .99, and at least half of the unfiltered queries a second.",
  },
  {
    bench: "reembed",
    title: "Feedback to live",
    about:
      "Feedback is in; the time from the request of a fine-tune of a head until queries are answered by what it learnt, and " +
      "what part took how long.",
    goal:
      "100,000 x 512, 1,000 triplets: served within 10 s; the index ready for the switch in at most 1/20 of a full rebuild's " +
      "time; recall@10 at least .97 at the switch and .99 after the rebuild.",
    plots: feedbackToLivePlots,
  },
  {
    bench: "latency",
    title: "Queries while something else is going on",
    about:
      "Latencies in ms of queries at a fixed rate, counted from when each was due: idle, during a fine-tune with writes, and while " +
      "vectors are inserted at full speed and the graph takes them in.",
    goal: "p99 within the larger of 2 times idle and 20 ms, during a fine-tune and during inserts.",
  },
  {
    bench: "ingest",
    title: "Durable inserts",
    about:
      "Items a second that were acknowledged, which is when they are on the disk, and that were in the graph; texts beside what " +
      "the encoder does with the same texts by itself, in turns.",
    goal: "Texts at no less than 80% of the bare encoder's rate.",
  },
  {
    bench: "memory",
    title: "Memory",
    about: "Resident memory of the server by what is in it, and its peak while another generation takes over.",
    goal: "Growth over an empty server with its encoder loaded at most 1.35 times vectors and graph.",
  },
  {
    bench: "startup",
    title: "Start",
    about:
      "Seconds from the start of the process until a query is answered right, after a clean stop and after kill -9.",
    goal: "100,000 x 512: at most 3 s after a clean stop, at most 15 s after kill -9.",
  },
  {
    bench: "churn",
    title: "Disk under replacement",
    about: "What the disk holds while all items are replaced again and again.",
  },
  {
    bench: "fine-tune",
    title: "What a head learns from triplets",
    about: "The learning loop over HTTP on Banking77: search before and after, by how much feedback there was.",
  },
  {
    bench: "learn",
    title: "What can be learnt",
    about:
      "Heads and encoders on Banking77, and image encoders on Omniglot; each run ends with a search by what was promoted.",
    goal: "Stated for each setting in the table.",
  },
  {
    bench: "step-cost",
    title: "What a training step of an encoder costs",
    about: "Milliseconds of a step beside a forward pass over the same batch.",
  },
  {
    bench: "engines",
    title: "What a training step of a head costs",
    about: "Milliseconds of a step, by engine.",
  },
  {
    bench: "encode",
    title: "Encoders",
    about: "Sentences or images a second, and what a query waits while bulk is encoded.",
  },
];

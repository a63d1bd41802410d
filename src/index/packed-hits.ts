import type { SearchHits } from "../vector/index.js";

/** What one call of `search` found, a `SearchHits` a query. */
export interface AnsweredSearch {
  id: number;
  hits: SearchHits[];
}

/**
 * Answers as one array, so that a message between threads takes one buffer however many they are: of each call its id and how many
 * queries it had, and of each query how many hits, their labels, and their distances.
 */
export function packHits(answers: readonly AnsweredSearch[]): Float64Array {
  let length = 0;
  for (const { hits } of answers) {
    length += 2;
    for (const { labels } of hits) length += 1 + 2 * labels.length;
  }
  const packed = new Float64Array(length);
  let at = 0;
  for (const { id, hits } of answers) {
    packed[at++] = id;
    packed[at++] = hits.length;
    for (const { labels, distances } of hits) {
      packed[at++] = labels.length;
      packed.set(labels, at);
      packed.set(distances, at + labels.length);
      at += 2 * labels.length;
    }
  }
  return packed;
}

/** The answers that `packHits` was given; the distances are views of `packed`. */
export function unpackHits(packed: Float64Array): AnsweredSearch[] {
  const answers: AnsweredSearch[] = [];
  for (let at = 0; at < packed.length; ) {
    const id = packed[at++] as number;
    const hits: SearchHits[] = new Array(packed[at++] as number);
    for (let query = 0; query < hits.length; query++) {
      const labels = new Uint32Array(packed[at++] as number);
      for (let i = 0; i < labels.length; i++) labels[i] = packed[at++] as number;
      hits[query] = { labels, distances: packed.subarray(at, at + labels.length) };
      at += labels.length;
    }
    answers.push({ id, hits });
  }
  return answers;
}

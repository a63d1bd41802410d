import type { FeedbackEntry, FeedbackList, SubmitFeedback } from "../../../schemas/index.js";
import type { FeedbackRecord, Operation } from "../../../storage/index.js";
import { AttuneError } from "../../errors/index.js";
import type { Tables } from "../collection-state.js";
import { DEFAULT_PAGE, decodeNumberCursor, encodeCursor, type PageOptions } from "../cursor.js";
import { type ContentRules, checkBatchSize, placed } from "../items/item-content.js";
import type { ItemTable } from "../items/item-table.js";
import { isStale, readReference, referenceKey, type StoredReference, showReference } from "./feedback-reference.js";

/** One piece of feedback as stored. */
export type StoredFeedback =
  | { kind: "pair"; a: StoredReference; b: StoredReference; label: "similar" | "dissimilar" }
  | { kind: "triplet"; anchor: StoredReference; positive: StoredReference; negative: StoredReference }
  | { kind: "label"; item: StoredReference; label: string };

interface Entry {
  feedback: StoredFeedback;
  createdAt: string;
  /** Grows with each submission: later entries have the last word. */
  sequence: number;
}

/** What a submission did. */
export interface Submitted {
  ids: string[];
  replaced: number;
}

type Write = (operations: Operation[]) => Promise<void>;

/** Key in the state table. */
const SINCE_KEY = "feedbackSinceFineTune";

/**
 * The feedback of one collection: every entry in memory and in Level. An entry about the same things as an earlier one takes
 * its place: a pair either way round, a triplet, the label of an item.
 */
export class FeedbackStore {
  /** Oldest verdict first. */
  private readonly entries = new Map<string, Entry>();
  /** Subject of an entry to its id. */
  private readonly subjects = new Map<string, string>();
  private nextId = 1;
  private sequence = 0;
  /** Pieces of feedback that said something new since the last fine-tune began. */
  sinceFineTune = 0;
  private last: Promise<unknown> = Promise.resolve();

  private constructor(
    private readonly tables: Tables,
    private readonly table: ItemTable,
    private readonly rules: ContentRules,
  ) {}

  static async open(tables: Tables, table: ItemTable, rules: ContentRules): Promise<FeedbackStore> {
    const store = new FeedbackStore(tables, table, rules);
    const stored: [string, FeedbackRecord][] = [];
    for await (const entry of tables.feedback.entries()) stored.push(entry);
    store.sinceFineTune = Number((await tables.state.get(SINCE_KEY)) ?? 0);
    stored.sort(([a, { sequence: x }], [b, { sequence: y }]) => x - y || Number(a) - Number(b));
    for (const [id, { body, createdAt, sequence }] of stored) {
      store.remember(id, { feedback: body as StoredFeedback, createdAt, sequence });
      store.nextId = Math.max(store.nextId, Number(id) + 1);
    }
    return store;
  }

  get size(): number {
    return this.entries.size;
  }

  /**
   * Reads a whole submission, then stores it with `write`, or refuses all of it.
   * @throws batch_too_large, contradictory_feedback, and what `readReference` throws
   */
  submit(submission: SubmitFeedback, write: Write): Promise<Submitted> {
    return this.inTurn(() => this.store(submission, write));
  }

  private async store(submission: SubmitFeedback, write: Write): Promise<Submitted> {
    const read = this.read(submission);
    checkContradictions(read);
    const createdAt = new Date().toISOString();
    const sequence = ++this.sequence;
    const submitted: Submitted = { ids: [], replaced: 0 };
    let news = 0;
    const changes = new Map<string, Entry>();
    const newSubjects = new Map<string, string>();
    for (const feedback of read) {
      const subject = subjectOf(feedback);
      const id = newSubjects.get(subject) ?? this.subjects.get(subject) ?? this.takeId();
      const before = changes.get(id)?.feedback ?? this.entries.get(id)?.feedback;
      const says = before !== undefined && verdictOf(before) === verdictOf(feedback) ? "same" : "new";
      if (before !== undefined && says === "new") submitted.replaced++;
      if (says === "new") news++;
      newSubjects.set(subject, id);
      changes.set(id, { feedback, createdAt, sequence });
      submitted.ids.push(id);
    }
    const puts = [...changes].map(([id, entry]) => this.tables.feedback.put(id, toRecord(entry)));
    const sinceFineTune = this.sinceFineTune + news;
    await write([...puts, this.tables.state.put(SINCE_KEY, sinceFineTune)]);
    this.sinceFineTune = sinceFineTune;
    for (const [id, entry] of changes) this.remember(id, entry);
    return submitted;
  }

  list(page: PageOptions): FeedbackList {
    const after = decodeNumberCursor(page.cursor) ?? 0;
    const limit = page.limit ?? DEFAULT_PAGE;
    const ids = [...this.entries.keys()].sort((a, b) => Number(a) - Number(b)).filter((id) => Number(id) > after);
    const shown = ids.slice(0, limit);
    const last = shown.at(-1);
    return {
      feedback: shown.flatMap((id) => {
        const entry = this.entries.get(id);
        return entry === undefined ? [] : [this.show(id, entry)];
      }),
      ...(ids.length > limit && last !== undefined ? { nextCursor: encodeCursor(last) } : {}),
    };
  }

  /** @throws feedback_not_found */
  delete(id: string, write: Write): Promise<void> {
    return this.inTurn(async () => {
      const entry = this.entries.get(id);
      if (entry === undefined)
        throw new AttuneError("feedback_not_found", `There is no feedback ${JSON.stringify(id.slice(0, 80))}.`);
      await write([this.tables.feedback.delete(id)]);
      this.entries.delete(id);
      this.subjects.delete(subjectOf(entry.feedback));
    });
  }

  /** The count towards the next automatic fine-tune starts anew. */
  jobBegins(write: Write): Promise<void> {
    return this.inTurn(async () => {
      await write([this.tables.state.put(SINCE_KEY, 0)]);
      this.sinceFineTune = 0;
    });
  }

  /** One change after the other: each is worked out from what the one before left. */
  private inTurn<T>(change: () => Promise<T>): Promise<T> {
    const done = this.last.then(change);
    this.last = done.catch(() => {});
    return done;
  }

  /** Feedback that can be learnt from, oldest first: everything about content that is still there. */
  usable(): StoredFeedback[] {
    return [...this.entries.values()].flatMap(({ feedback }) => (this.stale(feedback) ? [] : [feedback]));
  }

  counts(): { pairs: number; triplets: number; labels: number } {
    const counts = { pairs: 0, triplets: 0, labels: 0 };
    for (const { feedback } of this.entries.values()) {
      if (!this.stale(feedback)) counts[`${feedback.kind}s`]++;
    }
    return counts;
  }

  private read(submission: SubmitFeedback): StoredFeedback[] {
    const { pairs = [], triplets = [], labels = [] } = submission;
    checkBatchSize(
      pairs.length + triplets.length + labels.length,
      this.rules.limits.itemsPerBatch,
      "pieces of feedback",
    );
    const at = (path: string, read: () => StoredFeedback): StoredFeedback => {
      try {
        return read();
      } catch (error) {
        throw placed(error, path);
      }
    };
    const reference = (value: Parameters<typeof readReference>[0]) => readReference(value, this.table, this.rules);
    return [
      ...pairs.map(({ a, b, label }, i) =>
        at(`/pairs/${i}`, () => ({ kind: "pair", a: reference(a), b: reference(b), label })),
      ),
      ...triplets.map(({ anchor, positive, negative }, i) =>
        at(`/triplets/${i}`, () => ({
          kind: "triplet",
          anchor: reference(anchor),
          positive: reference(positive),
          negative: reference(negative),
        })),
      ),
      ...labels.map(({ item, label }, i) =>
        at(`/labels/${i}`, () => ({ kind: "label", item: reference(item), label })),
      ),
    ];
  }

  private takeId(): string {
    return String(this.nextId++);
  }

  private remember(id: string, entry: Entry): void {
    this.entries.delete(id); // so that it moves to the end
    this.entries.set(id, entry);
    this.sequence = Math.max(this.sequence, entry.sequence);
    this.subjects.set(subjectOf(entry.feedback), id);
  }

  private stale(feedback: StoredFeedback): boolean {
    return referencesOf(feedback).some((reference) => isStale(reference, this.table));
  }

  private show(id: string, { feedback, createdAt }: Entry): FeedbackEntry {
    const common = { id, createdAt, stale: this.stale(feedback) };
    switch (feedback.kind) {
      case "pair":
        return {
          ...common,
          kind: "pair",
          pair: { a: showReference(feedback.a), b: showReference(feedback.b), label: feedback.label },
        };
      case "triplet":
        return {
          ...common,
          kind: "triplet",
          triplet: {
            anchor: showReference(feedback.anchor),
            positive: showReference(feedback.positive),
            negative: showReference(feedback.negative),
          },
        };
      case "label":
        return { ...common, kind: "label", label: { item: showReference(feedback.item), label: feedback.label } };
    }
  }
}

export function referencesOf(feedback: StoredFeedback): StoredReference[] {
  switch (feedback.kind) {
    case "pair":
      return [feedback.a, feedback.b];
    case "triplet":
      return [feedback.anchor, feedback.positive, feedback.negative];
    case "label":
      return [feedback.item];
  }
}

function toRecord(entry: Entry): FeedbackRecord {
  return { kind: entry.feedback.kind, body: entry.feedback, createdAt: entry.createdAt, sequence: entry.sequence };
}

/** What an entry is about; a later entry about the same takes its place. */
function subjectOf(feedback: StoredFeedback): string {
  switch (feedback.kind) {
    case "pair":
      return `p ${pairKey(feedback.a, feedback.b)}`;
    case "triplet":
      return `t ${JSON.stringify(referencesOf(feedback).map(referenceKey))}`;
    case "label":
      return `l ${referenceKey(feedback.item)}`;
  }
}

/** What an entry says about its subject. */
function verdictOf(feedback: StoredFeedback): string {
  return feedback.kind === "triplet" ? "triplet" : feedback.label;
}

/** The same for both directions. */
function pairKey(a: StoredReference, b: StoredReference): string {
  return JSON.stringify([referenceKey(a), referenceKey(b)].sort());
}

/**
 * Refuses a submission that says two things of one pair or one item, or ties a thing to itself. A triplet is relative (the
 * anchor is nearer to the positive than to the negative), so it contradicts only its own reversal and a pair that says the
 * opposite. A contradiction with earlier feedback is no error: people change their minds, and the newer wins.
 * @throws contradictory_feedback
 */
function checkContradictions(feedback: readonly StoredFeedback[]): void {
  const said = new Map<string, string>();
  const say = (subject: string, verdict: string, what: () => string) => {
    const before = said.get(subject);
    if (before !== undefined && before !== verdict) throw contradiction(`${what()} both ${before} and ${verdict}`);
    said.set(subject, verdict);
  };
  for (const piece of feedback) {
    checkDistinct(piece);
    if (piece.kind === "pair") {
      say(`p ${pairKey(piece.a, piece.b)}`, piece.label, () => `${shown(piece.a)} and ${shown(piece.b)} are marked`);
    } else if (piece.kind === "label") {
      say(`l ${referenceKey(piece.item)}`, JSON.stringify(piece.label), () => `${shown(piece.item)} is labelled`);
    }
  }
  for (const piece of feedback) {
    if (piece.kind !== "triplet") continue;
    const { anchor, positive, negative } = piece;
    const pairSays = (other: StoredReference) => said.get(`p ${pairKey(anchor, other)}`);
    if (pairSays(positive) === "dissimilar" || pairSays(negative) === "similar") {
      throw contradiction(`a pair says the opposite of the triplet with the anchor ${shown(anchor)}`);
    }
    const [first, second] = [positive, negative].map(referenceKey).sort();
    const nearer = shown(positive);
    say(`t ${JSON.stringify([referenceKey(anchor), first, second])}`, nearer, () => `nearest to ${shown(anchor)} are`);
  }
}

function checkDistinct(piece: StoredFeedback): void {
  const seen = new Set<string>();
  for (const reference of referencesOf(piece)) {
    const key = referenceKey(reference);
    if (seen.has(key))
      throw contradiction(`${shown(reference)} stands twice in one ${piece.kind}; feedback ties different things`);
    seen.add(key);
  }
}

function shown(reference: StoredReference): string {
  return JSON.stringify(showReference(reference)).slice(0, 80);
}

function contradiction(what: string): AttuneError {
  return new AttuneError("contradictory_feedback", `In one submission, ${what}. Nothing was stored; send one verdict.`);
}

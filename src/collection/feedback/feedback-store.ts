import type {
  FeedbackEntry,
  FeedbackList,
  ItemLabel,
  Pair,
  Reference,
  SubmitFeedback,
  Triplet,
} from "../../../schemas/index.js";
import type { ContentStore, FeedbackRecord, Operation } from "../../../storage/index.js";
import { AttuneError } from "../../errors/index.js";
import type { Tables } from "../collection-state.js";
import { DEFAULT_PAGE, decodeNumberCursor, encodeCursor, type PageOptions } from "../cursor.js";
import type { EmbeddingSpace } from "../generations/embedding-space.js";
import type { ImageContent } from "../items/image-content.js";
import { type ContentRules, checkBatchSize, placed } from "../items/item-content.js";
import type { ItemTable } from "../items/item-table.js";
import { checkContradictions } from "./contradictions.js";
import { isStale, readReference, type StoredReference, showReference } from "./feedback-reference.js";
import { imagesOf, referencesOf, type StoredFeedback, subjectOf, verdictOf } from "./stored-feedback.js";

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

/** What the feedback of a collection is about, and where it is kept. */
export interface FeedbackParts {
  /** The collection's name. */
  name: string;
  tables: Tables;
  table: ItemTable;
  rules: ContentRules;
  content: ContentStore;
  base: Pick<EmbeddingSpace, "embedder">;
}

/** A submission that was read: nothing is stored yet. */
interface ReadSubmission {
  feedback: StoredFeedback[];
  /** What its references bring along. */
  images: ImageContent[];
}

type Write = (operations: Operation[]) => Promise<void>;
/** Stores images, then writes; returns what lets go of the images. */
type WriteWithImages = (operations: Operation[], images: ImageContent[]) => Promise<() => void>;

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

  private constructor(private readonly parts: FeedbackParts) {}

  /** Reads what is stored; the images it refers to count as referred to from then on. */
  static async open(parts: FeedbackParts): Promise<FeedbackStore> {
    const store = new FeedbackStore(parts);
    const { tables } = parts;
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
  submit(submission: SubmitFeedback, write: WriteWithImages): Promise<Submitted> {
    // Read at once, images decoded side by side; stored in turn.
    const reading = this.read(submission);
    reading.catch(() => {});
    return this.inTurn(async () => this.store(await reading, write));
  }

  private async store({ feedback: read, images }: ReadSubmission, write: WriteWithImages): Promise<Submitted> {
    const { tables } = this.parts;
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
    const puts = [...changes].map(([id, entry]) => tables.feedback.put(id, toRecord(entry)));
    const sinceFineTune = this.sinceFineTune + news;
    const letGo = await write([...puts, tables.state.put(SINCE_KEY, sinceFineTune)], images);
    this.sinceFineTune = sinceFineTune;
    for (const [id, entry] of changes) this.remember(id, entry);
    letGo();
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
      await write([this.parts.tables.feedback.delete(id)]);
      this.forget(id);
      this.subjects.delete(subjectOf(entry.feedback));
    });
  }

  /** The count towards the next automatic fine-tune starts anew. */
  jobBegins(write: Write): Promise<void> {
    return this.inTurn(async () => {
      await write([this.parts.tables.state.put(SINCE_KEY, 0)]);
      this.sinceFineTune = 0;
    });
  }

  /** Resolves when the changes asked for so far have ended. */
  async idle(): Promise<void> {
    await this.last;
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

  private async read(submission: SubmitFeedback): Promise<ReadSubmission> {
    const { pairs = [], triplets = [], labels = [] } = submission;
    const { table, rules, base } = this.parts;
    const count = pairs.length + triplets.length + labels.length;
    checkBatchSize(count, rules.limits.itemsPerBatch, "pieces of feedback");
    const images: ImageContent[] = [];
    const takeImage = async (image: ImageContent) => {
      // Embedded to see that it can be: what cannot be would only fail the fine-tune.
      await base.embedder.embed([image.bytes], "query");
      images.push(image);
    };
    const reference = (value: Reference) => readReference(value, { table, content: rules, takeImage });
    const at = (path: string, piece: Promise<StoredFeedback>) =>
      piece.catch((error: unknown) => {
        throw placed(error, path);
      });
    const feedback = await Promise.all([
      ...pairs.map((pair, i) => at(`/pairs/${i}`, readPair(pair, reference))),
      ...triplets.map((triplet, i) => at(`/triplets/${i}`, readTriplet(triplet, reference))),
      ...labels.map((label, i) => at(`/labels/${i}`, readLabel(label, reference))),
    ]);
    checkContradictions(feedback);
    return { feedback, images };
  }

  private takeId(): string {
    return String(this.nextId++);
  }

  private remember(id: string, entry: Entry): void {
    for (const hash of imagesOf(entry.feedback)) this.parts.content.retain(hash);
    this.forget(id); // so that it moves to the end
    this.entries.set(id, entry);
    this.sequence = Math.max(this.sequence, entry.sequence);
    this.subjects.set(subjectOf(entry.feedback), id);
  }

  private forget(id: string): void {
    const entry = this.entries.get(id);
    if (entry === undefined) return;
    this.entries.delete(id);
    for (const hash of imagesOf(entry.feedback)) this.parts.content.release(hash);
  }

  private stale(feedback: StoredFeedback): boolean {
    return referencesOf(feedback).some((reference) => isStale(reference, this.parts.table));
  }

  private show(id: string, { feedback, createdAt }: Entry): FeedbackEntry {
    const shown = (reference: StoredReference) => showReference(reference, this.parts.name);
    const common = { id, createdAt, stale: this.stale(feedback) };
    switch (feedback.kind) {
      case "pair":
        return {
          ...common,
          kind: "pair",
          pair: { a: shown(feedback.a), b: shown(feedback.b), label: feedback.label },
        };
      case "triplet":
        return {
          ...common,
          kind: "triplet",
          triplet: {
            anchor: shown(feedback.anchor),
            positive: shown(feedback.positive),
            negative: shown(feedback.negative),
          },
        };
      case "label":
        return { ...common, kind: "label", label: { item: shown(feedback.item), label: feedback.label } };
    }
  }
}

type ReadReference = (value: Reference) => Promise<StoredReference>;

async function readPair({ a, b, label }: Pair, read: ReadReference): Promise<StoredFeedback> {
  const [first, second] = await Promise.all([read(a), read(b)]);
  return { kind: "pair", a: first, b: second, label };
}

async function readTriplet(given: Triplet, read: ReadReference): Promise<StoredFeedback> {
  const [anchor, positive, negative] = await Promise.all([
    read(given.anchor),
    read(given.positive),
    read(given.negative),
  ]);
  return { kind: "triplet", anchor, positive, negative };
}

async function readLabel({ item, label }: ItemLabel, read: ReadReference): Promise<StoredFeedback> {
  return { kind: "label", item: await read(item), label };
}

function toRecord(entry: Entry): FeedbackRecord {
  return { kind: entry.feedback.kind, body: entry.feedback, createdAt: entry.createdAt, sequence: entry.sequence };
}

import type { GroupCommit } from "./group-commit.js";
import { collectionPrefix, decimalKey, endOfPrefix, numberKey, textKey } from "./keys.js";
import type { Database } from "./level.js";
import { type FeedbackRecord, feedbackCodec } from "./records/feedback.js";
import { type GenerationRecord, generationCodec } from "./records/generation.js";
import { type ItemRecord, itemCodec } from "./records/item.js";
import { type JobRecord, jobCodec } from "./records/job.js";
import { stateCodec } from "./records/state.js";
import { LevelTable, type Table } from "./table.js";

/** What one collection keeps in Level; its keys lie side by side. `J` and `G` are the shapes of its jobs and generations. */
export class CollectionTables<J extends object = JobRecord, G extends object = GenerationRecord> {
  readonly items: Table<string, ItemRecord>;
  /** Keys are decimal numbers as strings, of 1 to 16 digits, in numeric order. */
  readonly feedback: Table<string, FeedbackRecord>;
  readonly jobs: Table<number, J>;
  readonly generations: Table<number, G>;
  /** Small named JSON values, such as counters. */
  readonly state: Table<string, unknown>;
  readonly #database: Database;
  readonly #commits: GroupCommit;
  readonly #prefix: string;

  constructor(database: Database, commits: GroupCommit, uid: string) {
    const prefix = collectionPrefix(uid);
    this.#database = database;
    this.#commits = commits;
    this.#prefix = prefix;
    this.items = new LevelTable(database, `${prefix}i/`, textKey, itemCodec);
    this.feedback = new LevelTable(database, `${prefix}f/`, decimalKey, feedbackCodec);
    this.jobs = new LevelTable(database, `${prefix}j/`, numberKey, jobCodec<J>());
    this.generations = new LevelTable(database, `${prefix}g/`, numberKey, generationCodec<G>());
    this.state = new LevelTable(database, `${prefix}s/`, textKey, stateCodec);
  }

  /**
   * Deletes every key of this collection, after the writes accepted before, and gives the space back. Not atomic: delete the collection's record
   * first, then a crash in between leaves an orphan that the next start finds.
   *
   * @throws storage_closed
   */
  async clear(): Promise<void> {
    const range = { gte: this.#prefix, lt: endOfPrefix(this.#prefix) };
    await this.#commits.exclusive(() => this.#database.clear(range));
    // Level's clear is not synced; a synced write after it in the log takes it along.
    await this.#commits.write([{ type: "del", key: this.#prefix }]);
    await this.#database.compactRange(range.gte, range.lt);
  }
}

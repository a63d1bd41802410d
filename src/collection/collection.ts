import type {
  CollectionInfo,
  CollectionSettings,
  DeleteItems,
  FeedbackList,
  FeedbackResult,
  Filter,
  FineTuneOptions,
  GenerationList,
  Item,
  ItemList,
  Job,
  JobList,
  JobStarted,
  PatchCollection,
  Payload,
  QueryBatchResult,
  QueryResult,
  ScrollItems,
  StreamResult,
  SubmitFeedback,
  UpsertResult,
} from "../../schemas/index.js";
import type { Encoder } from "../encoder/index.js";
import { AttuneError } from "../errors/index.js";
import type { ProviderChoice } from "../runtime/index.js";
import { metricOf } from "../vector/index.js";
import { type CollectionState, changeRecord } from "./collection-state.js";
import type { PageOptions } from "./cursor.js";
import { FeedbackStore } from "./feedback/feedback-store.js";
import { findGeneration, findModel, type GenerationModel, listGenerations } from "./generations/generation-files.js";
import { collectGenerations } from "./generations/generation-switch.js";
import { IndexRebuild } from "./generations/index-rebuild.js";
import type { GivenItem, GivenQuery } from "./items/given.js";
import type { ImageContent } from "./items/image-content.js";
import type { Mutation } from "./items/item-changes.js";
import { checkBatchSize, type ItemContent, placed, readBatch } from "./items/item-content.js";
import { embedItems } from "./items/item-embedding.js";
import { type ImageFile, type IsKnown, ItemReader, type ReadOptions } from "./items/item-reader.js";
import { ItemWriter } from "./items/item-writer.js";
import { type Line, LineImport } from "./items/line-import.js";
import { QueryRunner } from "./items/query-runner.js";
import type { FineTuneParts } from "./jobs/fine-tune-job.js";
import { FineTunes } from "./jobs/fine-tunes.js";
import { JobBook, type JobListener } from "./jobs/job-book.js";
import { collectJobFolders, isResumable } from "./jobs/job-folder.js";
import { JobRunner } from "./jobs/job-runner.js";
import type { Slot } from "./jobs/slot.js";
import { type OpenedState, type OpenParts, openCollectionState } from "./open-collection.js";
import { patchSettings } from "./settings.js";

export interface OpenCollectionOptions extends OpenParts {
  slot: Slot;
  trainingThreads: number;
  trainingProvider: ProviderChoice;
  niceness: number;
}

/** One collection: its items, its generations, its feedback and its jobs. */
export class Collection {
  private readonly reader: ItemReader;
  private readonly queries: QueryRunner;
  /** Why nothing new is begun any more. */
  private closing: "stopped" | "deleted" | undefined;

  private constructor(
    private readonly state: CollectionState,
    private readonly writer: ItemWriter,
    private readonly feedback: FeedbackStore,
    private readonly jobs: JobBook,
    private readonly runner: JobRunner,
    private readonly fineTunes: FineTunes,
    private readonly rebuild: IndexRebuild,
    private readonly encoder: Encoder | undefined,
  ) {
    this.reader = new ItemReader(state);
    this.queries = new QueryRunner(state);
  }

  /** @throws internal when its files are damaged beyond repair */
  static async open(
    record: Parameters<typeof openCollectionState>[0],
    options: OpenCollectionOptions,
  ): Promise<Collection> {
    const opened = await openCollectionState(record, options);
    try {
      return await Collection.openBooks(opened, options);
    } catch (error) {
      // The index's thread would keep the process alive.
      await opened.state.active.retire();
      await opened.state.base.close();
      throw error;
    }
  }

  private static async openBooks({ state, labels }: OpenedState, options: OpenCollectionOptions): Promise<Collection> {
    const writer = new ItemWriter(state, labels);
    const feedback = await FeedbackStore.open({ name: state.record.name, ...state });
    const leftovers = await state.content.collect();
    if (leftovers > 0)
      state.log.info(`Collection ${state.record.name}: ${leftovers} files that nothing refers to were removed.`);
    const jobs = await JobBook.open(state.storage, state.tables, (job) => isResumable(job, state.directory));
    await collectJobFolders(state.directory, jobs.resumable());
    // Rows beyond the last item go, unless a training that was cut off is to read them again.
    const { rows } = state.base;
    if (jobs.resumable().length === 0) await rows.truncate(Math.min(labels.bound, rows.rows()));
    const { threads, trainingThreads, trainingProvider, niceness } = options;
    const training = { threads, trainingThreads, trainingProvider, niceness };
    const rebuild = new IndexRebuild({ state, writer, labels, jobs, niceness });
    const parts: FineTuneParts = { state, writer, labels, jobs, feedback, rebuild, ...training };
    const runner: JobRunner = new JobRunner(parts, options.slot, () => fineTunes.startWhenDue());
    const fineTunes = new FineTunes(state, feedback, jobs, runner);
    // A stop or a crash may have come between the two switches of a fine-tune.
    rebuild.start();
    return new Collection(state, writer, feedback, jobs, runner, fineTunes, rebuild, options.encoder);
  }

  get name(): string {
    return this.state.record.name;
  }

  get uid(): string {
    return this.state.record.uid;
  }

  async info(): Promise<CollectionInfo> {
    const { state } = this;
    const index = await state.active.use(() =>
      // An index that has died finds nothing; what else there is to tell is told.
      state.active.index.status().catch(() => ({
        points: 0,
        tombstones: 0,
        lag: state.table.count,
        provisional: false,
        bytesInMemory: 0,
      })),
    );
    const { points, tombstones, lag, provisional } = index;
    return {
      name: this.name,
      createdAt: state.record.createdAt,
      ...state.settings,
      status: {
        items: state.table.count,
        feedback: { ...this.feedback.counts(), sinceFineTune: this.feedback.sinceFineTune },
        activeGeneration: state.active.number,
        ...(this.encoder === undefined
          ? {}
          : {
              encoder: {
                id: this.encoder.id,
                provider: this.encoder.provider,
                dimensions: this.encoder.dimensions,
                ...(this.encoder.accepts.text ? { maxTokens: this.encoder.maxTokens } : {}),
              },
            }),
        index: { points, tombstones, lag, provisional },
        bytesOnDisk: await state.storage.approximateBytes(this.uid),
        bytesInMemory: index.bytesInMemory,
      },
    };
  }

  async patch(patch: PatchCollection): Promise<CollectionInfo> {
    const { state } = this;
    // From the record, not `state.settings`: of patches side by side none undoes another.
    const current = patchSettings(state.record.current as CollectionSettings, patch);
    await state.storage.write([changeRecord(state, { current })]);
    state.settings = patchSettings(state.settings, patch);
    if (patch.keepGenerations !== undefined) await this.writer.exclusive(() => collectGenerations({ state }));
    return this.info();
  }

  /** All or nothing. @throws batch_too_large, duplicate_id, shutting_down, and what one item can be refused for */
  async upsert(items: GivenItem[]): Promise<UpsertResult> {
    this.assertOpen();
    const contents = await readBatch(items, this.state.rules);
    const { mutations, refused } = await embedItems(contents, this.state);
    for (const { position, error } of refused) throw placed(error, `/items/${position}`);
    await this.store(mutations);
    return { upserted: contents.length, generation: this.state.active.number };
  }

  /** Line by line: good lines are kept, bad ones are reported. Reads no faster than it writes. */
  async upsertLines(lines: AsyncIterable<Line>): Promise<StreamResult> {
    this.assertOpen();
    const store = async (contents: ItemContent[]) => {
      this.assertOpen();
      const { mutations, refused } = await embedItems(contents, this.state);
      if (mutations.length > 0) await this.store(mutations);
      return refused;
    };
    const result = await new LineImport(this.state.rules, store).run(lines);
    return { ...result, generation: this.state.active.number };
  }

  /** @throws item_not_found */
  getItem(id: string, options?: ReadOptions): Promise<Item> {
    return this.reader.get(id, options);
  }

  /** Unknown ids are left out. @throws batch_too_large */
  getItems(ids: string[], options?: ReadOptions): Promise<Item[]> {
    return this.reader.getMany(ids, options);
  }

  /** @throws invalid_cursor */
  listItems(page: PageOptions & ReadOptions): Promise<ItemList> {
    return this.reader.scroll(page);
  }

  /** @throws invalid_cursor, filter_too_deep */
  scroll(request: ScrollItems): Promise<ItemList> {
    return this.reader.scroll(request);
  }

  /** @throws filter_too_deep */
  async count(filter?: Filter): Promise<number> {
    return this.reader.count(filter);
  }

  /** Merges: keys given take the place of those there, others stay. @throws item_not_found, payload_too_large */
  async patchItem(id: string, payload: Payload): Promise<Item> {
    this.assertOpen();
    await this.writer.write({ mutations: [{ kind: "patch", id, payload }] });
    return this.reader.get(id);
  }

  /** @throws item_not_found */
  async deleteItem(id: string): Promise<void> {
    this.assertOpen();
    await this.writer.write({ mutations: [{ kind: "delete", id }], mustExist: true });
  }

  /** Deletes by ids, all or none, or by filter, what matches part by part; unknown ids count for nothing. @throws batch_too_large, filter_too_deep */
  async deleteItems(request: DeleteItems): Promise<number> {
    this.assertOpen();
    if (request.ids !== undefined) checkBatchSize(request.ids.length, this.state.rules.limits.itemsPerBatch, "ids");
    if (request.ids !== undefined) return this.delete(request.ids);
    // In parts, so that the deletion of very many holds nobody up for long.
    const filter = request.filter ?? {};
    const { itemsPerBatch } = this.state.rules.limits;
    const ids = this.reader.idsOf(filter);
    let deleted = 0;
    for (let first = 0; first < ids.length; first += itemsPerBatch) {
      deleted += await this.delete(this.reader.matching(ids.slice(first, first + itemsPerBatch), filter));
    }
    return deleted;
  }

  private async delete(ids: string[]): Promise<number> {
    const { deleted } = await this.writer.write({ mutations: ids.map((id) => ({ kind: "delete", id })) });
    return deleted;
  }

  /** @throws validation_failed, wrong_modality, no_encoder, item_not_found, filter_too_deep, and what a vector or text can be refused for */
  query(query: GivenQuery): Promise<QueryResult> {
    return this.queries.run(query);
  }

  /** @throws batch_too_large, and what one query can be refused for */
  queryBatch(queries: GivenQuery[]): Promise<QueryBatchResult> {
    return this.queries.runBatch(queries);
  }

  /** The image of an item. @throws item_not_found, content_not_found, internal when its file is lost */
  itemImage(id: string, isKnown?: IsKnown): Promise<ImageFile> {
    return this.reader.imageOf(id, isKnown);
  }

  /** An image of an item or of feedback by its hash. @throws content_not_found, internal when its file is lost */
  content(hash: string, isKnown?: IsKnown): Promise<ImageFile> {
    return this.reader.contentOf(hash, isKnown);
  }

  /**
   * Vectors of texts in the active generation, as queries are embedded, (texts.length x dimensions); of length 1 under cosine.
   * @throws no_encoder, wrong_modality
   */
  async embed(texts: string[]): Promise<{ vectors: Float32Array; dimensions: number; tokens: number }> {
    const { active, rules } = this.state;
    if (!rules.accepts.text) throw this.readsNoTexts();
    return active.use(async () => {
      const { rows, tokens } = await active.space.embedder.embedCounting(texts, "query");
      const vectors = await active.project(rows);
      metricOf(rules.metric).preprocess(vectors, rules.dimensions);
      return { vectors, tokens, dimensions: rules.dimensions };
    });
  }

  /** @throws batch_too_large, unknown_item, contradictory_feedback, and what a reference can be refused for */
  async submitFeedback(submission: SubmitFeedback): Promise<FeedbackResult> {
    this.assertOpen();
    const { ids, replaced } = await this.feedback.submit(submission, (operations, images) =>
      this.storeImages(images, () => this.state.storage.write(operations)),
    );
    const fineTune = await this.fineTunes.startWhenDue();
    return {
      accepted: ids.length,
      ids,
      total: this.feedback.size,
      replaced,
      ...(fineTune === undefined ? {} : { fineTune }),
    };
  }

  /** @throws invalid_cursor */
  async listFeedback(page: PageOptions): Promise<FeedbackList> {
    return this.feedback.list(page);
  }

  /** @throws feedback_not_found */
  deleteFeedback(id: string): Promise<void> {
    this.assertOpen();
    return this.feedback.delete(id, (operations) => this.state.storage.write(operations));
  }

  /** @throws job_running, invalid_setting, no_encoder, not_enough_feedback */
  async startFineTune(options: FineTuneOptions): Promise<JobStarted> {
    this.assertOpen();
    const { id, status } = await this.fineTunes.start(options);
    return { id, status };
  }

  /** Puts a fine-tune that was cut off back to work. @throws fine_tune_not_found, job_not_resumable, job_running */
  async resumeFineTune(id: string): Promise<JobStarted> {
    this.assertOpen();
    const { status } = await this.runner.resume(id);
    return { id, status };
  }

  /** Goes on with the fine-tunes that the last end cut off. */
  resumeCutOff(): Promise<void> {
    return this.fineTunes.resumeCutOff();
  }

  /** @throws invalid_cursor */
  async listJobs(page: PageOptions): Promise<JobList> {
    return this.jobs.list(page);
  }

  /** @throws fine_tune_not_found */
  job(id: string): Job {
    const { number: _, ...job } = this.jobs.get(id);
    return job;
  }

  /** Calls at once, then at each change until the job has ended. Returns the unsubscribe. @throws fine_tune_not_found */
  watchJob(id: string, listener: JobListener): () => void {
    return this.jobs.watch(id, listener);
  }

  /** @throws fine_tune_not_found, job_finished */
  cancelJob(id: string): Promise<Job> {
    return this.runner.cancel(id);
  }

  generations(): Promise<GenerationList> {
    return listGenerations(this.state);
  }

  /** The ONNX file of a generation: its tuned encoder, or its head. @throws generation_not_found, model_not_found */
  model(generation: number): Promise<GenerationModel> {
    return findModel(generation, this.state);
  }

  /** @throws generation_not_found */
  async activate(generation: number): Promise<JobStarted> {
    this.assertOpen();
    await findGeneration(generation, this.state);
    const { id, status } = await this.runner.activation(generation);
    return { id, status };
  }

  /** Lets writes in progress end, stops the jobs, and saves the index, unless it is closed to be deleted. */
  async close(save = true): Promise<void> {
    this.closing = save ? "stopped" : "deleted";
    await this.runner.close();
    await this.rebuild.stop();
    await this.writer.close(save);
    await this.feedback.idle();
    await this.state.content.idle();
    await this.state.active.retire();
    await this.state.base.close();
  }

  private assertOpen(): void {
    if (this.closing === "stopped")
      throw new AttuneError("shutting_down", "The server is shutting down; send the request again in a moment.");
    if (this.closing === "deleted")
      throw new AttuneError(
        "collection_not_found",
        `The collection ${JSON.stringify(this.name)} was deleted meanwhile.`,
      );
  }

  /** Stores what was embedded. */
  private async store(mutations: Mutation[]): Promise<void> {
    const images = mutations.flatMap((mutation) => (mutation.kind === "put" ? (mutation.content.image ?? []) : []));
    const letGo = await this.storeImages(images, () => this.writer.write({ mutations }));
    letGo();
  }

  /** The files of images are on disk before the records that name them. Returns what lets go of the files. */
  private async storeImages(images: ImageContent[], write: () => Promise<unknown>): Promise<() => void> {
    this.assertOpen();
    const letGo = await this.state.content.put(images);
    // A write that fails may be on disk all the same: then its images stay until the next start.
    await write();
    return letGo;
  }

  private readsNoTexts(): AttuneError {
    const advice = 'Name a collection that does, or the encoder "use-lite".';
    return this.state.rules.modality === "vector"
      ? new AttuneError(
          "no_encoder",
          `The collection ${this.name} holds vectors and has no encoder to embed texts. ${advice}`,
        )
      : new AttuneError("wrong_modality", `The encoder of the collection ${this.name} reads no texts. ${advice}`);
  }
}

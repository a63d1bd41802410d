import type { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import type {
  BinaryQueryHeader,
  CollectionInfo,
  FeedbackEntry,
  FeedbackList,
  FeedbackResult,
  Filter,
  FineTuneOptions,
  GenerationList,
  Job,
  JobList,
  JobStarted,
  PageQuery,
  PatchCollection,
  Payload,
  ScrollItems,
  StreamResult,
  UpsertResult,
} from "../../schemas/index.js";
import {
  askedForm,
  type Item,
  type ItemList,
  type QueryBatchResult,
  type QueryResult,
  readVectors,
  type VectorForm,
  type VectorOf,
} from "./answers.js";
import { binaryBody } from "./binary-body.js";
import {
  encodeFeedback,
  encodeItem,
  encodeQuery,
  type FeedbackToSend,
  type ItemToSend,
  type QueryToSend,
} from "./contents.js";
import { AttuneConnectionError } from "./errors.js";
import { itemLines } from "./item-lines.js";
import { hasEnded, readJobEvents } from "./job-events.js";
import { pages } from "./pages.js";
import { path, queryString } from "./path.js";
import type { CallOptions, Transport } from "./transport.js";

const POLL_MS = 500;

type Scroll<Form extends VectorForm> = Omit<ScrollItems, "withVector"> & { withVector?: Form | undefined };

/** A name that a server may give a file here: no path, nothing hidden, and of no other kind. */
const FILE_NAME = /filename="([a-z0-9][\w-]*\.onnx)"/i;

/** An image file as it was sent. */
export interface ImageDownload {
  bytes: Buffer;
  /** Media type, such as `image/png`. */
  type: string;
  /** SHA-256 of the bytes in hexadecimal. */
  hash: string;
}

/** A generation's ONNX file on its way. */
export interface ModelDownload {
  stream: Readable;
  /** A name for the file. */
  name: string;
  /** Its size. */
  bytes: number;
  /** SHA-256 of the bytes in hexadecimal; empty of a generation made by an older version. */
  hash: string;
}

/**
 * One collection of a server. Every method takes `CallOptions` last (a signal, a timeout of its own) and throws
 * AttuneApiError for a refusal and AttuneConnectionError when no answer came.
 */
export class CollectionClient {
  readonly name: string;
  readonly #transport: Transport;
  readonly #path: string;

  constructor(transport: Transport, name: string) {
    this.name = name;
    this.#transport = transport;
    this.#path = path`/v1/collections/${name}`;
  }

  /** Settings and status. */
  info(options?: CallOptions): Promise<CollectionInfo> {
    return this.#call("GET", "", undefined, options);
  }

  /** Changes settings that can change. */
  patch(changes: PatchCollection, options?: CallOptions): Promise<CollectionInfo> {
    return this.#call("PATCH", "", changes, options);
  }

  /** Deletes the collection and everything in it. */
  delete(options?: CallOptions): Promise<void> {
    return this.#call("DELETE", "", undefined, options);
  }

  /** Inserts or replaces a batch, whole or not at all. */
  upsert(items: readonly ItemToSend[], options?: CallOptions): Promise<UpsertResult> {
    return this.#call("POST", "/items", { items: items.map(encodeItem) }, options);
  }

  /**
   * Inserts or replaces items that are vectors, whole or not at all, in a binary body: the quickest way in. One id, and one payload or
   * null where payloads are given, for each vector.
   */
  upsertVectors(
    ids: readonly string[],
    vectors: readonly Float32Array[],
    options: CallOptions & { payloads?: readonly (Payload | null)[] } = {},
  ): Promise<UpsertResult> {
    const { payloads, ...call } = options;
    return this.#call("POST", "/items", binaryBody({ ids, payloads }, vectors), call);
  }

  /** Inserts or replaces any number of items as they come; good ones are kept, bad ones reported by line. */
  importItems(
    items: AsyncIterable<ItemToSend> | Iterable<ItemToSend>,
    options: CallOptions = {},
  ): Promise<StreamResult> {
    return this.#transport.upload(`${this.#path}/items`, "application/x-ndjson", itemLines(items), options);
  }

  async getItem<Form extends VectorForm = false>(
    id: string,
    options: CallOptions & { withVector?: Form } = {},
  ): Promise<Item<VectorOf<Form>>> {
    const query = queryString({ withVector: askedForm(options.withVector) });
    const item = await this.#call<Item<VectorOf<Form>>>("GET", path`/items/${id}` + query, undefined, options);
    readVectors([item]);
    return item;
  }

  /** The image of an item. */
  image(id: string, options?: CallOptions): Promise<ImageDownload> {
    return this.#download(path`/items/${id}/image`, options);
  }

  /** An image of an item or of feedback, by the hash that a listing of feedback shows. */
  content(hash: string, options?: CallOptions): Promise<ImageDownload> {
    return this.#download(path`/content/${hash}`, options);
  }

  /** The items that are there; unknown ids are left out. */
  async getItems<Form extends VectorForm = false>(
    ids: readonly string[],
    options: CallOptions & { withVector?: Form } = {},
  ): Promise<Item<VectorOf<Form>>[]> {
    const body = { ids, withVector: askedForm(options.withVector) };
    return (await this.#list<Form>("POST", "/items/get", body, options)).items;
  }

  /** One page of items, by id. */
  listItems<Form extends VectorForm = false>(
    page: PageQuery & { withVector?: Form } = {},
    options?: CallOptions,
  ): Promise<ItemList<VectorOf<Form>>> {
    const query = queryString({ ...page, withVector: askedForm(page.withVector) });
    return this.#list<Form>("GET", `/items${query}`, undefined, options);
  }

  /** One page of the items that a filter selects, by id. */
  scrollItems<Form extends VectorForm = false>(
    page: Scroll<Form> = {},
    options?: CallOptions,
  ): Promise<ItemList<VectorOf<Form>>> {
    return this.#list<Form>("POST", "/items/scroll", { ...page, withVector: askedForm(page.withVector) }, options);
  }

  /** Every item, or every one that the filter selects, page by page. */
  items<Form extends VectorForm = false>(
    scroll: Omit<Scroll<Form>, "cursor"> = {},
    options?: CallOptions,
  ): AsyncGenerator<Item<VectorOf<Form>>> {
    return pages(async (cursor) => {
      const { items, nextCursor } = await this.scrollItems<Form>({ ...scroll, cursor } as Scroll<Form>, options);
      return { entries: items, nextCursor };
    });
  }

  async count(filter?: Filter, options?: CallOptions): Promise<number> {
    return (await this.#call<{ count: number }>("POST", "/items/count", { filter }, options)).count;
  }

  /** Merges fields into an item's payload. */
  patchItem(id: string, payload: Payload, options?: CallOptions): Promise<Item> {
    return this.#call("PATCH", path`/items/${id}`, { payload }, options);
  }

  deleteItem(id: string, options?: CallOptions): Promise<void> {
    return this.#call("DELETE", path`/items/${id}`, undefined, options);
  }

  /** Returns how many were deleted. */
  async deleteItems(which: { ids: readonly string[] } | { filter: Filter }, options?: CallOptions): Promise<number> {
    return (await this.#call<{ deleted: number }>("POST", "/items/delete", which, options)).deleted;
  }

  async query<Form extends VectorForm = false>(
    query: QueryToSend<Form>,
    options?: CallOptions,
  ): Promise<QueryResult<VectorOf<Form>>> {
    const answer = await this.#call<QueryResult<VectorOf<Form>>>("POST", "/query", encodeQuery(query), options);
    if (query.withVector === "float32") readVectors(answer.results);
    return answer;
  }

  /** Several queries, all answered from one generation. */
  async queryBatch<Form extends VectorForm = false>(
    queries: readonly QueryToSend<Form>[],
    options?: CallOptions,
  ): Promise<QueryBatchResult<VectorOf<Form>>> {
    const body = { queries: queries.map(encodeQuery) };
    const answer = await this.#call<QueryBatchResult<VectorOf<Form>>>("POST", "/query/batch", body, options);
    for (const results of answer.results) readVectors(results);
    return answer;
  }

  /** The nearest to each of several vectors, in a binary body; `query` holds for all of them. */
  async queryVectors<Form extends VectorForm = false>(
    vectors: readonly Float32Array[],
    query: Omit<BinaryQueryHeader, "withVector"> & { withVector?: Form | undefined } = {},
    options?: CallOptions,
  ): Promise<QueryBatchResult<VectorOf<Form>>> {
    const body = binaryBody({ ...query, withVector: askedForm(query.withVector) }, vectors);
    const answer = await this.#call<QueryBatchResult<VectorOf<Form>>>("POST", "/query/batch", body, options);
    for (const results of answer.results) readVectors(results);
    return answer;
  }

  submitFeedback(feedback: FeedbackToSend, options?: CallOptions): Promise<FeedbackResult> {
    return this.#call("POST", "/feedback", encodeFeedback(feedback), options);
  }

  /** One page of feedback. */
  listFeedback(page: PageQuery = {}, options?: CallOptions): Promise<FeedbackList> {
    return this.#call("GET", `/feedback${queryString(page)}`, undefined, options);
  }

  /** All feedback, page by page. */
  feedback(page: { limit?: number } = {}, options?: CallOptions): AsyncGenerator<FeedbackEntry> {
    return pages(async (cursor) => {
      const { feedback, nextCursor } = await this.listFeedback({ ...page, cursor }, options);
      return { entries: feedback, nextCursor };
    });
  }

  deleteFeedback(id: string, options?: CallOptions): Promise<void> {
    return this.#call("DELETE", path`/feedback/${id}`, undefined, options);
  }

  startFineTune(fineTune: FineTuneOptions = {}, options?: CallOptions): Promise<JobStarted> {
    return this.#call("POST", "/fine-tunes", fineTune, options);
  }

  /** One page of jobs. */
  listFineTunes(page: PageQuery = {}, options?: CallOptions): Promise<JobList> {
    return this.#call("GET", `/fine-tunes${queryString(page)}`, undefined, options);
  }

  /** All jobs, page by page. */
  fineTunes(page: { limit?: number } = {}, options?: CallOptions): AsyncGenerator<Job> {
    return pages(async (cursor) => {
      const { fineTunes, nextCursor } = await this.listFineTunes({ ...page, cursor }, options);
      return { entries: fineTunes, nextCursor };
    });
  }

  fineTune(id: string, options?: CallOptions): Promise<Job> {
    return this.#call("GET", path`/fine-tunes/${id}`, undefined, options);
  }

  /** Goes on with a fine-tune of an encoder that a stop of the server cut off. */
  resumeFineTune(id: string, options?: CallOptions): Promise<JobStarted> {
    return this.#call("POST", path`/fine-tunes/${id}/resume`, undefined, options);
  }

  cancelFineTune(id: string, options?: CallOptions): Promise<Job> {
    return this.#call("POST", path`/fine-tunes/${id}/cancel`, undefined, options);
  }

  /**
   * The job's states until it has ended, the last one being the ended one. Follows server-sent events; where their stream
   * breaks or is not let through, it asks every half second instead.
   */
  async *watchFineTune(id: string, options: CallOptions = {}): AsyncGenerator<Job> {
    try {
      const stream = await this.#transport.stream(
        this.#path + path`/fine-tunes/${id}/events`,
        "text/event-stream",
        options,
      );
      for await (const job of readJobEvents(stream)) {
        yield job;
        if (hasEnded(job)) return;
      }
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!isBrokenStream(error)) throw error;
    }
    for (;;) {
      const job = await this.fineTune(id, options);
      yield job;
      if (hasEnded(job)) return;
      await delay(POLL_MS, undefined, { signal: options.signal });
    }
  }

  /** Waits until the job has ended. */
  async waitForFineTune(id: string, options: CallOptions = {}): Promise<Job> {
    let last: Job | undefined;
    for await (const job of this.watchFineTune(id, options)) last = job;
    return last ?? this.fineTune(id, options);
  }

  async generations(options?: CallOptions): Promise<GenerationList["generations"]> {
    return (await this.#call<GenerationList>("GET", "/generations", undefined, options)).generations;
  }

  /** The ONNX file of a generation as a stream of bytes: its tuned encoder, or its head. */
  async downloadModel(generation: number, options: CallOptions = {}): Promise<ModelDownload> {
    const target = this.#path + path`/generations/${generation}/model`;
    const stream = await this.#transport.stream(target, "application/octet-stream", options);
    const { etag = "", "content-length": length, "content-disposition": disposition = "" } = stream.headers;
    const [, name = "model.onnx"] = FILE_NAME.exec(disposition) ?? [];
    return { stream, name, bytes: Number(length), hash: etag.replace(/^"|"$/g, "") };
  }

  /** Starts the job that makes a generation the active one; follow it as a fine-tune. */
  activate(generation: number, options?: CallOptions): Promise<JobStarted> {
    return this.#call("POST", path`/generations/${generation}/activate`, undefined, options);
  }

  async #list<Form extends VectorForm>(
    method: string,
    rest: string,
    body: unknown,
    options?: CallOptions,
  ): Promise<ItemList<VectorOf<Form>>> {
    const list = await this.#call<ItemList<VectorOf<Form>>>(method, rest, body, options);
    readVectors(list.items);
    return list;
  }

  async #download(rest: string, options: CallOptions = {}): Promise<ImageDownload> {
    const { bytes, headers } = await this.#transport.download(this.#path + rest, options);
    return { bytes, type: headers["content-type"] ?? "", hash: (headers.etag ?? "").replace(/^"|"$/g, "") };
  }

  async #call<T>(method: string, rest: string, body: unknown, options: CallOptions = {}): Promise<T> {
    const { signal, timeoutMs } = options;
    const answer = await this.#transport.call<T>({ method, path: this.#path + rest, body, signal, timeoutMs });
    return answer.body;
  }
}

/** A refusal is an answer; anything else that ends the stream is a reason to ask in another way. */
function isBrokenStream(error: unknown): boolean {
  return (
    error instanceof AttuneConnectionError || (error instanceof Error && "code" in error && error.code === "ECONNRESET")
  );
}

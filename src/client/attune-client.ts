import type {
  CollectionInfo,
  CollectionList,
  CreateCollection,
  CreateEmbeddings,
  Embeddings,
  Health,
  PageQuery,
  Readiness,
} from "../../schemas/index.js";
import { CollectionClient } from "./collection-client.js";
import { pages } from "./pages.js";
import { path, queryString } from "./path.js";
import { type CallOptions, type ClientOptions, Transport } from "./transport.js";

/**
 * A client of an Attune server, over kept connections.
 *
 * @example
 * const client = new AttuneClient({ baseUrl: "http://127.0.0.1:7700" });
 * const { collection } = await client.createCollection("notes", { modality: "text" });
 * await collection.upsert([{ id: "1", text: "a note" }]);
 * const { results } = await collection.query({ text: "notes", k: 3 });
 */
export class AttuneClient {
  readonly #transport: Transport;

  constructor(options: ClientOptions = {}) {
    this.#transport = new Transport(options);
  }

  /** A collection by name; nothing is sent until one of its methods is called. */
  collection(name: string): CollectionClient {
    return new CollectionClient(this.#transport, name);
  }

  /** Creates a collection, or finds the one that was created with the same settings. */
  async createCollection(
    name: string,
    settings: CreateCollection,
    options: CallOptions = {},
  ): Promise<{ created: boolean; info: CollectionInfo; collection: CollectionClient }> {
    const call = { method: "PUT", path: path`/v1/collections/${name}`, body: settings, ...options };
    const { status, body } = await this.#transport.call<CollectionInfo>(call);
    return { created: status === 201, info: body, collection: this.collection(name) };
  }

  /** One page of collections. */
  listCollections(page: PageQuery = {}, options?: CallOptions): Promise<CollectionList> {
    return this.#get(`/v1/collections${queryString(page)}`, options);
  }

  /** All collections, page by page. */
  collections(page: { limit?: number } = {}, options?: CallOptions): AsyncGenerator<CollectionInfo> {
    return pages(async (cursor) => {
      const { collections, nextCursor } = await this.listCollections({ ...page, cursor }, options);
      return { entries: collections, nextCursor };
    });
  }

  /** Vectors of texts, in the shape of OpenAI's API. */
  async embed(request: CreateEmbeddings, options: CallOptions = {}): Promise<Embeddings> {
    return (
      await this.#transport.call<Embeddings>({ method: "POST", path: "/v1/embeddings", body: request, ...options })
    ).body;
  }

  /** Whether the process is alive. */
  health(options?: CallOptions): Promise<Health> {
    return this.#get("/healthz", options);
  }

  /** Whether the server can answer queries, and on which execution provider. */
  readiness(options?: CallOptions): Promise<Readiness> {
    return this.#get("/readyz", options);
  }

  /** The API's description as OpenAPI 3.1. */
  openapi(options?: CallOptions): Promise<Record<string, unknown>> {
    return this.#get("/openapi.json", options);
  }

  /** Closes the kept connections. */
  close(): void {
    this.#transport.close();
  }

  async #get<T>(target: string, options: CallOptions = {}): Promise<T> {
    return (await this.#transport.call<T>({ method: "GET", path: target, ...options })).body;
  }
}

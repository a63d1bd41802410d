import { isDeepStrictEqual } from "node:util";
import type { Payload } from "../../../schemas/index.js";
import type { ItemRecord } from "../../../storage/index.js";
import { AttuneError } from "../../errors/index.js";
import type { EmbeddingSpace } from "../generations/embedding-space.js";
import type { Limits } from "../limits.js";
import type { ImageContent } from "./image-content.js";
import { type ItemContent, readPayload } from "./item-content.js";

/** A content's embedding in a space. */
export interface Embedded {
  space: EmbeddingSpace;
  row: Float32Array;
}

/** One change of one item. */
export type Mutation =
  | {
      kind: "put";
      content: ItemContent /** Its embedding, when it is known already. */;
      embedded: Embedded | undefined;
    }
  | { kind: "patch"; id: string; payload: Payload }
  | { kind: "delete"; id: string };

/** The changes of one request: all of them are made, or none. */
export interface ItemOperation {
  mutations: Mutation[];
  /** Refuse the request when an item to delete does not exist. */
  mustExist?: boolean;
}

/** What one request did. */
export interface ItemOutcome {
  upserted: number;
  deleted: number;
}

export function idOf(mutation: Mutation): string {
  return mutation.kind === "put" ? mutation.content.id : mutation.id;
}

/** The content under a label, where a commit needs it: the vector itself, or what the encoder reads and maybe its embedding. */
export interface NewContent {
  text: string | undefined;
  image: ImageContent | undefined;
  vector: Float32Array | undefined;
  embedded: Embedded | undefined;
}

/** What the commit of a batch is made against. */
export interface CommitView {
  limits: Limits;
  /** The record before this batch. */
  before(id: string): ItemRecord | undefined;
  /** Whether the stored base row under `label` is `vector`, bit for bit. */
  sameVector(label: number, vector: Float32Array): boolean;
  takeLabel(): number;
}

/**
 * The changes of a batch of requests, worked out against the records before it. A request that cannot be done leaves no trace.
 */
export class ItemChanges {
  /** Ids that changed, and their record after the batch; undefined means deleted. */
  readonly records = new Map<string, ItemRecord | undefined>();
  /** Content of the labels taken by this batch. */
  readonly contents = new Map<number, NewContent>();

  constructor(
    private readonly view: CommitView,
    public sequence: number,
  ) {}

  /** @throws item_not_found, payload_too_large */
  apply(operation: ItemOperation): ItemOutcome {
    const records = new Map<string, ItemRecord | undefined>();
    const outcome: ItemOutcome = { upserted: 0, deleted: 0 };
    const current = (id: string) => {
      if (records.has(id)) return records.get(id);
      return this.records.has(id) ? this.records.get(id) : this.view.before(id);
    };
    for (const mutation of operation.mutations) {
      const id = idOf(mutation);
      const before = current(id);
      if (mutation.kind === "put") {
        records.set(id, this.put(mutation.content, mutation.embedded, before));
        outcome.upserted++;
      } else if (mutation.kind === "patch") {
        if (before === undefined) throw notFound(id);
        const payload = readPayload({ ...before.payload, ...mutation.payload }, this.view.limits);
        records.set(id, { ...before, payload, sequence: ++this.sequence });
      } else if (before !== undefined) {
        records.set(id, undefined);
        this.sequence++;
        outcome.deleted++;
      } else if (operation.mustExist) throw notFound(id);
    }
    for (const [id, record] of records) this.records.set(id, record);
    return outcome;
  }

  private put(content: ItemContent, embedded: Embedded | undefined, before: ItemRecord | undefined): ItemRecord {
    const sequence = ++this.sequence;
    if (before !== undefined && this.sameContent(content, before)) {
      return { ...before, payload: content.payload, sequence };
    }
    const label = this.view.takeLabel();
    const { text, image, vector } = content;
    this.contents.set(label, { text, image, vector, embedded });
    return {
      label,
      sequence,
      contentSequence: sequence,
      ...(text === undefined ? {} : { text }),
      ...(image === undefined ? {} : { image: { hash: image.hash, type: image.type } }),
      payload: content.payload,
    };
  }

  /** The same content again keeps its label, its vector and the feedback about it. */
  private sameContent(content: ItemContent, before: ItemRecord): boolean {
    if (content.image !== undefined) return content.image.hash === before.image?.hash;
    if (content.vector === undefined) return content.text === before.text;
    const fresh = this.contents.get(before.label);
    if (fresh?.vector !== undefined) return isDeepStrictEqual(fresh.vector, content.vector);
    return this.view.sameVector(before.label, content.vector);
  }
}

function notFound(id: string): AttuneError {
  return new AttuneError("item_not_found", `There is no item ${JSON.stringify(id.slice(0, 80))} in this collection.`);
}

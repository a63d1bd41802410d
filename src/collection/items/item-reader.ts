import type { Filter, Item, ItemList, ScrollItems, WithVector } from "../../../schemas/index.js";
import type { ItemRecord } from "../../../storage/index.js";
import { AttuneError } from "../../errors/index.js";
import { formatOf } from "../../image/index.js";
import type { CollectionState } from "../collection-state.js";
import { DEFAULT_PAGE, decodeCursor, encodeCursor } from "../cursor.js";
import { itemImageUrl } from "./content-urls.js";
import { checkFilter } from "./filter-depth.js";
import { anOrA, checkBatchSize } from "./item-content.js";
import { shownVector } from "./shown-vector.js";

export interface ReadOptions {
  withVector?: WithVector | undefined;
}

/** An image as it was sent. */
export interface ImageFile {
  /** SHA-256 of the file in hexadecimal. */
  hash: string;
  /** The bytes and their media type; absent for one who has them already. */
  file?: { bytes: Buffer; type: string };
}

/** Whether whoever asks has the content of this hash already, so that it need not be read. */
export type IsKnown = (hash: string) => boolean;

/** Reads items by id, in id order, or by filter. */
export class ItemReader {
  constructor(private readonly state: CollectionState) {}

  /** @throws item_not_found */
  async get(id: string, options: ReadOptions = {}): Promise<Item> {
    const [item] = this.state.table.labelOf(id) === undefined ? [] : await this.getMany([id], options);
    if (item !== undefined) return item;
    throw itemNotFound(id);
  }

  /** The image of an item. @throws item_not_found, content_not_found, internal when its file is lost */
  async imageOf(id: string, isKnown?: IsKnown): Promise<ImageFile> {
    // Read and held in one turn of the event loop: whoever replaces the item lets go of its image later.
    const record = this.state.table.labelOf(id) === undefined ? undefined : this.state.tables.items.getSync(id);
    if (record === undefined) throw itemNotFound(id);
    if (record.image !== undefined) return this.readImage(record.image.hash, isKnown);
    throw new AttuneError(
      "content_not_found",
      `The item ${JSON.stringify(id.slice(0, 80))} has no image: this is ${anOrA(this.state.rules.modality)} collection.`,
    );
  }

  /** An image of an item or of feedback by its hash. @throws content_not_found, internal when its file is lost */
  async contentOf(hash: string, isKnown?: IsKnown): Promise<ImageFile> {
    if (this.state.content.has(hash)) return this.readImage(hash, isKnown);
    throw new AttuneError(
      "content_not_found",
      `There is no image ${JSON.stringify(hash.slice(0, 80))}: no item and no feedback of this collection refers to it.`,
    );
  }

  /** Holds the file while it reads, and only that one: many who read must not keep what others delete. */
  private async readImage(hash: string, isKnown: IsKnown = () => false): Promise<ImageFile> {
    if (isKnown(hash)) return { hash };
    const { content } = this.state;
    const letGo = content.hold([hash]);
    try {
      const bytes = await content.read(hash);
      return { hash, file: { bytes, type: formatOf(bytes)?.mediaType ?? "application/octet-stream" } };
    } finally {
      letGo();
    }
  }

  /** Items in the order of `ids`; unknown ids are left out. @throws batch_too_large */
  async getMany(ids: string[], options: ReadOptions = {}): Promise<Item[]> {
    checkBatchSize(ids.length, this.state.rules.limits.itemsPerBatch, "ids");
    const known = ids.filter((id) => this.state.table.labelOf(id) !== undefined);
    const records = await this.state.tables.items.getMany(known);
    const found: [string, ItemRecord][] = [];
    known.forEach((id, i) => {
      const record = records[i];
      if (record !== undefined) found.push([id, record]);
    });
    return this.show(found, options);
  }

  /** A page in id order (byte order of UTF-8). @throws invalid_cursor, filter_too_deep */
  async scroll({ filter, limit = DEFAULT_PAGE, cursor, withVector }: ScrollItems): Promise<ItemList> {
    const after = decodeCursor(cursor);
    const allowed = filter === undefined ? undefined : this.select(filter);
    const page: [string, ItemRecord][] = [];
    let more = false;
    for await (const entry of this.state.tables.items.entries(after === undefined ? {} : { after })) {
      if (allowed !== undefined && !allowed.has(entry[1].label)) continue;
      more = page.length === limit;
      if (more) break;
      page.push(entry);
    }
    const last = page.at(-1);
    return {
      items: await this.show(page, { withVector }),
      ...(more && last !== undefined ? { nextCursor: encodeCursor(last[0]) } : {}),
    };
  }

  /** @throws filter_too_deep */
  count(filter?: Filter): number {
    return filter === undefined ? this.state.table.count : this.select(filter).count();
  }

  /** Ids of the items that match. @throws filter_too_deep */
  idsOf(filter: Filter): string[] {
    return [...this.select(filter)].flatMap((label) => this.state.table.idOf(label) ?? []);
  }

  /** Those of `ids` whose items match now. @throws filter_too_deep */
  matching(ids: string[], filter: Filter): string[] {
    const selected = this.select(filter);
    return ids.filter((id) => selected.has(this.state.table.labelOf(id) ?? -1));
  }

  private select(filter: Filter) {
    checkFilter(filter, this.state.rules.limits.filterDepth);
    return this.state.payloads.select(filter, this.state.table.live);
  }

  private async show(found: [string, ItemRecord][], { withVector = false }: ReadOptions): Promise<Item[]> {
    const { dimensions } = this.state.rules;
    const { active } = this.state;
    const labels = found.map(([, { label }]) => label);
    const rows = withVector !== false ? await active.use(() => active.space.rows.read(labels)) : undefined;
    return found.map(([id, { text, image, payload }], i) => ({
      id,
      ...(text === undefined ? {} : { text }),
      ...(image === undefined ? {} : { imageUrl: itemImageUrl(this.state.record.name, id) }),
      payload,
      ...(rows === undefined ? {} : { vector: shownVector(rows, i, dimensions, withVector) }),
    }));
  }
}

function itemNotFound(id: string): AttuneError {
  return new AttuneError("item_not_found", `There is no item ${JSON.stringify(id.slice(0, 80))} in this collection.`);
}

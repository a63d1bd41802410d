import { type FileHandle, mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { linkFile, syncDirectory } from "../../../storage/index.js";
import type { CollectionState } from "../collection-state.js";
import type { ExtraReference } from "./feedback-numbers.js";

/** Lines written at once. */
const BLOCK = 1000;

/** Text, hash of an image, or neither for content that was given as a vector. */
interface Content {
  text?: string | undefined;
  image?: string | undefined;
}

/**
 * Writes what items and other content are, a JSON line each, for a training that reads them itself. Images are linked into `folder`,
 * so that they are there to its end, whatever becomes of their items.
 */
export class TaskContents {
  private constructor(
    private readonly file: FileHandle,
    private readonly folder: string,
    private readonly state: CollectionState,
  ) {}

  static async create(path: string, folder: string, state: CollectionState): Promise<TaskContents> {
    await mkdir(folder, { recursive: true });
    return new TaskContents(await open(path, "w"), folder, state);
  }

  /** Writes items; tells which of them still hold what stood under `labels`: only those have a line. */
  async writeItems(ids: readonly string[], labels: Uint32Array): Promise<boolean[]> {
    const there: boolean[] = [];
    for (let first = 0; first < ids.length; first += BLOCK) {
      const records = await this.state.tables.items.getMany(ids.slice(first, first + BLOCK));
      const same = records.map((record, i) => record !== undefined && record.label === labels[first + i]);
      there.push(...same);
      const contents = records.flatMap((record, i) =>
        same[i] ? { text: record?.text, image: record?.image?.hash } : [],
      );
      await this.write(contents, "item");
    }
    return there;
  }

  /**
   * Writes content that is no item. People asked with it, so a text has the prompt of a query; one that was put to images stays
   * where its own encoder puts it, like a vector.
   */
  async writeExtra(references: readonly ExtraReference[]): Promise<void> {
    const contents = references.map((reference): Content => ("vector" in reference ? {} : reference));
    await this.write(contents, "query");
  }

  /** Brings what was written to the disk. */
  async sync(): Promise<void> {
    await this.file.sync();
    await syncDirectory(this.folder);
  }

  close(): Promise<void> {
    return this.file.close();
  }

  private async write(contents: readonly Content[], role: "item" | "query"): Promise<void> {
    const lines: string[] = [];
    for (const { text, image } of contents) {
      const line =
        text !== undefined && this.state.rules.modality === "text"
          ? { text: this.state.base.embedder.prompted(text, role) }
          : image !== undefined
            ? { image: await this.link(image) }
            : {};
      lines.push(`${JSON.stringify(line)}\n`);
    }
    await this.file.appendFile(lines.join(""));
  }

  private async link(hash: string): Promise<string> {
    const name = join(this.folder, hash);
    await linkFile(this.state.content.path(hash), name);
    return name;
  }
}

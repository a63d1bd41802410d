import { AttuneError } from "../errors/index.js";

/** An opaque page mark: base64url of the last key of the page. */
export function encodeCursor(lastKey: string): string {
  return Buffer.from(lastKey, "utf8").toString("base64url");
}

/** @throws invalid_cursor */
export function decodeCursor(cursor: string | undefined): string | undefined {
  if (cursor === undefined) return undefined;
  const key = Buffer.from(cursor, "base64url").toString("utf8");
  if (key === "" || encodeCursor(key) !== cursor) {
    throw new AttuneError(
      "invalid_cursor",
      `The cursor ${JSON.stringify(cursor.slice(0, 80))} is not one this server gave. Send the nextCursor of the page before, unchanged, or none for the first page.`,
    );
  }
  return key;
}

export interface PageOptions {
  limit?: number | undefined;
  cursor?: string | undefined;
}

export const DEFAULT_PAGE = 100;

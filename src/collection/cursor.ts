import { AttuneError } from "../errors/index.js";

/** An opaque page mark: base64url of the last key of the page. */
export function encodeCursor(lastKey: string): string {
  return Buffer.from(lastKey, "utf8").toString("base64url");
}

/** @throws invalid_cursor */
export function decodeCursor(cursor: string | undefined): string | undefined {
  if (cursor === undefined) return undefined;
  const key = Buffer.from(cursor, "base64url").toString("utf8");
  if (key === "" || encodeCursor(key) !== cursor) throw notOurs(cursor);
  return key;
}

/** The same for lists whose keys are numbers from 1. @throws invalid_cursor */
export function decodeNumberCursor(cursor: string | undefined): number | undefined {
  const key = decodeCursor(cursor);
  if (cursor === undefined || key === undefined) return undefined;
  if (!/^[1-9][0-9]{0,15}$/.test(key)) throw notOurs(cursor);
  return Number(key);
}

function notOurs(cursor: string): AttuneError {
  return new AttuneError(
    "invalid_cursor",
    `The cursor ${JSON.stringify(cursor.slice(0, 80))} is not one this server gave. Send the nextCursor of the page before, unchanged, or none for the first page.`,
  );
}

export interface PageOptions {
  limit?: number | undefined;
  cursor?: string | undefined;
}

export const DEFAULT_PAGE = 100;

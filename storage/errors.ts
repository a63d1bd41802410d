/** Why storage refused or failed. */
export type StorageErrorCode =
  /** Another process (or this one, a second time) has the data directory open. */
  | "data_locked"
  /** The directory was written by a newer format, or holds records without a format version. */
  | "data_version"
  /** Level itself reports corruption of its files. */
  | "data_corrupt"
  /** The data directory cannot be created, read or written. */
  | "data_directory"
  /** This machine cannot use the files (big-endian). */
  | "unsupported_host"
  /** A stored value does not decode; the message names its key. */
  | "corrupt_record"
  /** A value handed in for storing does not fit its record. */
  | "invalid_record"
  /** A key handed in cannot be a key of that table. */
  | "invalid_key"
  /** A batch or rows could not be written or synced, for example on a full disk: nothing of it is acknowledged. */
  | "write_failed"
  /** A file of raw content is missing or damaged; the message names it. */
  | "content_lost"
  /** The storage or file has been closed. */
  | "storage_closed"
  /** A row that the vector file does not have. */
  | "row_out_of_range"
  /** Labels and rows handed to a vector file do not fit each other. */
  | "invalid_rows";

/** A refusal or failure of storage, with a stable code; the message says what was got, what was expected, and what to do. */
export class StorageError extends Error {
  readonly code: StorageErrorCode;

  constructor(code: StorageErrorCode, message: string, options: { cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "StorageError";
    this.code = code;
  }
}

/** The message of anything thrown, for use inside another message. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

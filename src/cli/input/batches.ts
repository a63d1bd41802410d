import type { InputRecord } from "./input-record.js";

const MAX_BATCH_BYTES = 8 * 1024 * 1024;

/** Gathers records into batches of at most `size`, and of about 8 MiB of input at most. */
export async function* batchRecords(records: AsyncIterable<InputRecord>, size: number): AsyncGenerator<InputRecord[]> {
  let batch: InputRecord[] = [];
  let start = 0;
  for await (const record of records) {
    batch.push(record);
    if (batch.length < size && record.bytes - start < MAX_BATCH_BYTES) continue;
    yield batch;
    batch = [];
    start = record.bytes;
  }
  if (batch.length > 0) yield batch;
}

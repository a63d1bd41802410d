import assert from "node:assert/strict";
import { test } from "node:test";
import type { ItemInput } from "../../schemas/index.js";
import { AttuneError } from "../../src/errors/index.js";
import { type ItemLine, readItemLines } from "../../src/http/ndjson.js";
import { Random } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";

const anything = (value: unknown) => value as ItemInput;

async function collect<T>(values: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const value of values) all.push(value);
  return all;
}

async function read(chunks: (string | Buffer)[], maxLineBytes = 1000, check = anything): Promise<ItemLine[]> {
  async function* stream() {
    for (const chunk of chunks) yield Buffer.from(chunk as string);
  }
  return collect(readItemLines(stream(), check, maxLineBytes));
}

const brief = (lines: ItemLine[]) => lines.map(({ line, item, error }) => [line, item?.id ?? error?.code]);

test("yields one item a line, whatever ends the last", async () => {
  assert.deepEqual(brief(await read(['{"id":"a"}\n{"id":"b"}\n'])), [
    [1, "a"],
    [2, "b"],
  ]);
  assert.deepEqual(brief(await read(['{"id":"a"}\n{"id":"b"}'])), [
    [1, "a"],
    [2, "b"],
  ]);
  assert.deepEqual(brief(await read(['{"id":"a"}\r\n{"id":"b"}\r\n'])), [
    [1, "a"],
    [2, "b"],
  ]);
});

test("skips blank lines but counts them", async () => {
  assert.deepEqual(brief(await read(['\n \t\r\n{"id":"a"}\n\n{"id":"b"}\n'])), [
    [3, "a"],
    [5, "b"],
  ]);
  assert.deepEqual(await read([]), []);
});

test("gives the same lines however the bytes are cut", async () => {
  const random = new Random(seedOf("ndjson chunks", 11));
  const ids = Array.from({ length: 50 }, (_, i) => "é😀x".repeat(random.integer(5)) + i);
  const bytes = Buffer.from(ids.map((id) => `${JSON.stringify({ id })}\n`).join(""));
  for (let round = 0; round < 50; round++) {
    const chunks: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      const next = at + 1 + random.integer(40);
      chunks.push(bytes.subarray(at, next));
      at = next;
    }
    assert.deepEqual(
      (await read(chunks as Buffer[])).map(({ item }) => item?.id),
      ids,
    );
  }
});

test("reports a line that is not JSON, not UTF-8, or refused by the check, and goes on", async () => {
  const refuse = (value: unknown) => {
    if ((value as ItemInput).id === "no") throw new AttuneError("validation_failed", "refused");
    return value as ItemInput;
  };
  const latin1 = Buffer.from('{"id":"\xe9"}\n', "latin1");
  const lines = await read(['{"id":\n', latin1, '{"id":"no"}\n{"__proto__":{}}\n{"id":"ok"}\n'], 1000, refuse);
  assert.deepEqual(brief(lines), [
    [1, "malformed_json"],
    [2, "malformed_json"],
    [3, "validation_failed"],
    [4, "malformed_json"],
    [5, "ok"],
  ]);
});

test("reports a line over the limit without holding it, and goes on", async () => {
  const long = `{"id":"${"x".repeat(100)}"}\n`;
  const chunks = [long.slice(0, 30), long.slice(30, 70), long.slice(70), '{"id":"ok"}\n', `{"id":"${"y".repeat(100)}`];
  assert.deepEqual(brief(await read(chunks, 50)), [
    [1, "body_too_large"],
    [2, "ok"],
    [3, "body_too_large"],
  ]);
  const exact = '{"id":"abc"}';
  assert.deepEqual(brief(await read([`${exact}\n`], exact.length)), [[1, "abc"]]);
});

test("drops the unfinished last line when the sender goes away", async () => {
  async function* stream() {
    yield Buffer.from('{"id":"a"}\n{"id":"b"}');
    throw Object.assign(new Error("aborted"), { code: "ECONNRESET" });
  }
  assert.deepEqual(brief(await collect(readItemLines(stream(), anything, 1000))), [[1, "a"]]);
});

test("passes on a fault that is not the sender's going away", async () => {
  // biome-ignore lint/correctness/useYield: a stream that fails at once
  async function* stream(): AsyncGenerator<Buffer> {
    throw new Error("disk on fire");
  }
  await assert.rejects(collect(readItemLines(stream(), anything, 1000)), /disk on fire/);
});

test("reads no further than it is asked to", async () => {
  let given = 0;
  async function* stream() {
    for (; given < 1000; given++) yield Buffer.from(`{"id":"${given}"}\n`);
  }
  const lines = readItemLines(stream(), anything, 1000);
  await lines.next();
  await lines.next();
  assert.ok(given <= 2, `${given} chunks were read for two lines`);
  await lines.return(undefined);
});

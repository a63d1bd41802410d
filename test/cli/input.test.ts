import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { describe, it } from "node:test";
import { UsageError } from "../../src/cli/exit-codes.js";
import { readCsv } from "../../src/cli/input/csv.js";
import type { FieldMap } from "../../src/cli/input/field-map.js";
import type { InputRecord } from "../../src/cli/input/input-record.js";
import { readJsonLines } from "../../src/cli/input/jsonl.js";

const TEXT: FieldMap = { id: { field: "id" }, content: { kind: "text", field: "text" }, numbers: [] };

async function collect(records: AsyncIterable<InputRecord>) {
  const found = [];
  for await (const { bytes: _bytes, ...record } of records) found.push(record);
  return found;
}

/** In pieces of few bytes, so that lines and characters are split. */
const stream = (text: string, piece = 3) => {
  const bytes = Buffer.from(text);
  const pieces = Array.from({ length: Math.ceil(bytes.length / piece) }, (_, i) =>
    bytes.subarray(i * piece, (i + 1) * piece),
  );
  return Readable.from(pieces);
};

const csv = (text: string, fields: FieldMap = TEXT) => collect(readCsv(stream(text), fields));
const byLine = <T extends { line: number }>(records: T[]) => [...records].sort((a, b) => a.line - b.line);

describe("JSON lines", () => {
  it("keep their line numbers over blank lines, \\r\\n, a byte order mark and a missing last newline", async () => {
    const records = await collect(readJsonLines(stream('\ufeff{"id":"é"}\r\n\r\n{"id":"🎂"}')));
    assert.deepEqual(records, [
      { line: 1, item: { id: "é" } },
      { line: 3, item: { id: "🎂" } },
    ]);
  });

  it("that hold no object are reported with their line", async () => {
    const records = await collect(readJsonLines(stream('{"id":1}\n{"id":\n[1]\nnull\n')));
    assert.deepEqual(records[0], { line: 1, item: { id: 1 } });
    assert.match(records[1]?.problem ?? "", /^not JSON: /);
    assert.deepEqual(records.slice(2), [
      { line: 3, problem: "expected a JSON object" },
      { line: 4, problem: "expected a JSON object" },
    ]);
  });

  it("become items by named fields", async () => {
    const fields: FieldMap = {
      id: "line",
      content: { kind: "text", field: "title" },
      payload: ["year"],
      numbers: ["year"],
    };
    const records = await collect(readJsonLines(stream('{"title":"a","year":"1999","x":1}\n{"x":1}\n'), fields));
    assert.deepEqual(records, [
      { line: 1, item: { id: "1", text: "a", payload: { year: 1999 } } },
      { line: 2, problem: 'no field "title" for the text' },
    ]);
  });
});

describe("CSV", () => {
  it("gives every other column to the payload and counts lines inside quotes", async () => {
    assert.deepEqual(await csv('id,text,lang\na,"one\ntwo",en\n\nb,"say ""x""",de\n'), [
      { line: 2, item: { id: "a", text: "one\ntwo", payload: { lang: "en" } } },
      { line: 5, item: { id: "b", text: 'say "x"', payload: { lang: "de" } } },
    ]);
  });

  it("reads vectors and numbers", async () => {
    const fields: FieldMap = { id: { field: "id" }, content: { kind: "vector", field: "v" }, numbers: ["price"] };
    assert.deepEqual(await csv('id,v,price\na,"[1, 2]",3.5\nb,AACAPw==,\nc,"[1]",cheap\n', fields), [
      { line: 2, item: { id: "a", vector: [1, 2], payload: { price: 3.5 } } },
      { line: 3, item: { id: "b", vector: "AACAPw==", payload: { price: null } } },
      { line: 4, problem: '"price" holds "cheap", which is not a number' },
    ]);
  });

  it("reports bad records by line and goes on after them", async () => {
    const records = byLine(await csv('id,text\na,one\nb\nc,x"y"\n,no id\nd,two\n'));
    assert.deepEqual(
      records.map(({ line }) => line),
      [2, 3, 4, 5, 6],
    );
    assert.match(records[1]?.problem ?? "", /columns length is 2, got 1/);
    assert.match(records[2]?.problem ?? "", /Invalid Opening Quote/);
    assert.equal(records[3]?.problem, 'no value in "id" for the id');
    assert.deepEqual(records[4]?.item, { id: "d", text: "two" });
  });

  it("keeps the records above a quote that never closes", async () => {
    const records = byLine(await csv('id,text\na,one\nb,"two\n'));
    assert.deepEqual(records[0]?.item, { id: "a", text: "one" });
    assert.match(records[1]?.problem ?? "", /Quote Not Closed/);
  });

  it("without a named column is refused with the columns there are", async () => {
    await assert.rejects(csv("sku,title\n1,a\n"), (error: Error) => {
      assert.ok(error instanceof UsageError);
      assert.match(error.message, /no column "id", "text"; the file has "sku", "title"/);
      return true;
    });
  });
});

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { parseJsonInTurns, parseJsonWithVectors, placeVectors } from "../../src/http/json-vectors.js";
import { Random } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";
import { assertProblem, base64, type ServerUnderTest, serve } from "./support.js";

/** The vectors that were read apart, put in their places. */
function read(text: string): { value: unknown; apart: number } {
  const { value, placements } = parseJsonWithVectors(Buffer.from(text));
  placeVectors(placements);
  return { value, apart: placements.length };
}

const random = new Random(seedOf("vectors in JSON", 11));

test("vectors are found where a query, a batch and an import have them, whatever stands around them", () => {
  const bodies = [
    '{"vector":[1,2]}',
    ' {\n "k" : 3 , "vector" :\t[ 1 , -2.5 ,\r\n 3e1 ] , "filter" : {"must":[{"key":"é","equals":"\\u0000"}]} } ',
    '{"queries":[{"vector":[1,2],"k":1},{"text":"é"},{"vector":[3,4]}]}',
    '{"items":[{"id":"a","vector":[0.5,1]},{"vector":[2,1],"id":"\\"vector\\":[1]"}]}',
  ];
  for (const text of bodies) {
    const { value, apart } = read(text);
    assert.equal(apart, text.split(/"vector"\s*:\s*\[/).length - 1);
    const asNumbers = JSON.stringify(value, (_, inner) => (inner instanceof Float32Array ? [...inner] : inner));
    assert.deepEqual(JSON.parse(asNumbers), JSON.parse(text));
  }
});

test("anything else is what JSON.parse makes of it", () => {
  const bodies = [
    '{"text":"no vector"}',
    '{"vector":"AACAPw=="}',
    '{"vector":[]}',
    '{"vector":[1,[2]]}',
    '{"vector":[1,null]}',
    '{"vector":[1,"2"]}',
    '{"vector":[1,1e999]}',
    '{"vector":[1],"vector":[2]}',
    '{"vector":[1],"vector":"x"}',
    '{"a\\"vector":[1,2]}',
    '{"\\"vector":[1,2]}',
    '{"payload":{"vector":[1.1,2]},"vector":[1,2]}',
    '{"filter":{"vector":[1,2]}}',
    '{"queries":{"vector":[1]}}',
    '[{"vector":[1]},{"vector":[2]}]',
    '"\\"vector\\":[1,2]"',
    "null",
  ];
  for (const text of bodies) assert.deepEqual(read(text), { value: JSON.parse(text), apart: 0 }, text);
});

test("faulty JSON is refused with the place that JSON.parse names", () => {
  for (const vector of [
    "[01]",
    "[1.]",
    "[.5]",
    "[1e]",
    "[+1]",
    "[-]",
    "[1,]",
    "[,1]",
    "[1 2]",
    "[1",
    "[NaN]",
    "[0x1]",
  ]) {
    const text = `{"vector":${vector}`;
    assert.throws(() => read(`${text}}`), { code: "malformed_json" }, text);
  }
  const late = `{"vector":[${"1,".repeat(500)}1], nope}`;
  assert.throws(() => read(late), { code: "malformed_json", message: new RegExp(`position ${late.indexOf("nope")}`) });
  assert.throws(() => parseJsonWithVectors(Buffer.from('{"vector":[1],"k":"\xff"}', "latin1")), {
    code: "malformed_json",
  });
  assert.throws(() => read('{"vector":[1],"__proto__":{}}'), { code: "malformed_json" });
});

const manyItems = (count: number, dimensions: number) => {
  const items = Array.from({ length: count }, (_, i) => ({
    id: `i${i}`,
    vector: Array.from({ length: dimensions }, () => random.normal()),
  }));
  return { items, body: Buffer.from(JSON.stringify({ items })) };
};

test("large bodies that are read in turns come out as by themselves, and let others in meanwhile", async () => {
  const given = [manyItems(800, 512), manyItems(3, 2), manyItems(500, 512)];
  let reading = true;
  let turns = 0;
  const countTurns = () => {
    turns += 1;
    if (reading) setImmediate(countTurns);
  };
  setImmediate(countTurns);
  const faulty = Buffer.from(given[2]!.body.subarray(0, -2));
  const refused = assert.rejects(parseJsonInTurns(faulty), { code: "malformed_json" });
  const read = await Promise.all(given.map(({ body }) => parseJsonInTurns(body)));
  reading = false;
  await refused;
  for (const [i, { value, placements }] of read.entries()) {
    const { items } = given[i]!;
    assert.equal(placements.length, items.length);
    placeVectors(placements);
    for (const [j, got] of (value as { items: { id: string; vector: Float32Array }[] }).items.entries()) {
      assert.equal(got.id, items[j]!.id);
      assert.deepEqual(got.vector, Float32Array.from(items[j]!.vector));
    }
  }
  assert.ok(turns > 4, `${turns} turns of the event loop`);
});

let server: ServerUnderTest;
before(async () => {
  server = await serve();
  const { collection } = await server.client.createCollection("v", { modality: "vector", dimensions: 3 });
  await collection.upsert([
    { id: "a", vector: [1, 2, 3] },
    { id: "b", vector: [3, -1, 0.5], payload: { vector: [1.1] } },
  ]);
});
after(() => server.stop());

const post = (path: string, raw: string, headers = {}) =>
  server.send("POST", `/v1/collections/v/${path}`, { raw, headers });

test("vectors as numbers and as base64 answer alike in every body that has them", async () => {
  const vectors = [
    [1.25, 0.1, -3e-5],
    [0.30000000000000004, 2, 1],
  ];
  for (const vector of vectors) {
    const answers = [vector, base64(vector)].map((each) => post("query", JSON.stringify({ k: 2, vector: each })));
    const [numbers, bytes] = await Promise.all(answers);
    assert.equal(numbers!.status, 200);
    assert.deepEqual(numbers!.json.results, bytes!.json.results);
  }
  const lines = vectors.map((vector, i) => JSON.stringify({ id: `line-${i}`, vector })).join("\n");
  const imported = await post("items", lines, { "content-type": "application/x-ndjson" });
  assert.equal(imported.json.upserted, 2);
  const batch = await post("query/batch", JSON.stringify({ queries: vectors.map((vector) => ({ vector, k: 1 })) }));
  assert.deepEqual(
    batch.json.results.map(([hit]: { id: string }[]) => hit!.id),
    ["line-0", "line-1"],
  );
  assert.deepEqual((await server.client.collection("v").getItem("b")).payload, { vector: [1.1] });
});

test("a vector that cannot be is refused by what is wrong with it and where", async () => {
  const short = Buffer.alloc(11).toString("base64");
  const refusals = [
    [[1, 2], "wrong_dimensions", /2 dimensions.*3/],
    [[1, 1e39, 2], "not_finite", /number 1 .*Infinity/],
    [base64([1, 2, Number.NaN]), "not_finite", /number 2 .*NaN/],
    [base64([1, 2]), "wrong_dimensions", /8 bytes; expected 12 \(3 x 4/],
    [short, "invalid_vector", /11 bytes; expected 12 \(3 x 4/],
    ["not base64!", "invalid_vector", /not base64/],
    [[0, 0, 0], "zero_vector", /0/],
  ] as const;
  for (const [vector, code, detail] of refusals) {
    assert.match(assertProblem(await post("query", JSON.stringify({ vector })), code).detail, detail);
    const item = assertProblem(await post("items", JSON.stringify({ items: [{ id: "x", vector }] })), code);
    assert.match(item.errors?.[0]?.path ?? "", /^\/items\/0/);
  }
  for (const text of ["[1,2,1e999]", "[1,null,2]", '[1,"2",3]', "[[1],2,3]", "{}", "7"]) {
    assertProblem(await post("query", `{"vector":${text}}`), "validation_failed");
  }
});

test("a large insert is stored to the bit, or refused as a small one is", async () => {
  const { items, body } = manyItems(9_000, 3);
  assert.ok(body.length > 400_000);
  assert.equal((await post("items", body.toString())).status, 200);
  for (const { id, vector } of [items[0]!, items[8_999]!]) {
    const stored = await server.client.collection("v").getItem(id, { withVector: "float32" });
    assert.deepEqual(stored.vector, Float32Array.from(vector));
  }
  const late = `${body.toString().slice(0, -2)}, nope]}`;
  assertProblem(await post("items", late), "malformed_json");
});

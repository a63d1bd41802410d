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

const isSame = (got: Float32Array, numbers: readonly string[]) =>
  numbers.every((text, i) => Object.is(got[i], Math.fround(JSON.parse(text))));

const random = new Random(seedOf("vectors in JSON", 11));
const digits = (count: number) => Array.from({ length: count }, () => random.integer(10)).join("");

/** Numbers in every spelling that JSON has. */
function spell(): string {
  const sign = random.integer(2) === 0 ? "-" : "";
  const whole = random.integer(3) === 0 ? "0" : `${1 + random.integer(9)}${digits(random.integer(12))}`;
  const fraction = random.integer(4) === 0 ? "" : `.${digits(1 + random.integer(24))}`;
  const exponent = random.integer(3) === 0 ? `${"eE"[random.integer(2)]}${["", "+", "-"][random.integer(3)]}` : "";
  return sign + whole + fraction + (exponent === "" ? "" : exponent + random.integer(45));
}

/** Where two neighbouring float32 meet, exactly or within the last digits of float64: the hardest to round. */
function spellMidpoint(): string {
  const pair = new Float32Array([random.normal() * 10 ** (random.integer(30) - 15)]);
  const below = pair[0]!;
  new Uint32Array(pair.buffer)[0]! += 1;
  const middle = (below + pair[0]!) / 2;
  return String(middle * (1 + (random.integer(3) - 1) * 2 ** -52));
}

test("numbers are read to the bit as float64 and float32 in turn would have them", () => {
  for (let round = 0; round < 600; round++) {
    const numbers = Array.from({ length: 20 }, () => (random.integer(2) === 0 ? spell() : spellMidpoint()));
    if (numbers.some((text) => !Number.isFinite(JSON.parse(text)))) continue;
    const { value, apart } = read(`{"vector":[${numbers.join(",")}]}`);
    assert.equal(apart, 1, numbers.join());
    assert.ok(isSame((value as { vector: Float32Array }).vector, numbers), numbers.join());
  }
});

test("ends of the ranges of float32 and float64 are read to the bit", () => {
  const numbers =
    "0 -0 0.0 -0e5 1e-400 5e-324 1.4e-45 7.006492321624085e-46 7.006492321624086e-46 1e-38 1.17549435e-38 "
      .concat("3.4028234663852886e38 3.4028235677973366e38 3.4028235677973362e38 1e39 -1e308 16777217 16777219 ")
      .concat(`9007199254740993 123456789012345678901234567890 0.${"0".repeat(30)}1 1${"0".repeat(30)} 1e22 1e23 1E-22`)
      .split(" ");
  const { value, apart } = read(`{"vector":[${numbers.join(",")}]}`);
  assert.equal(apart, 1);
  assert.ok(isSame((value as { vector: Float32Array }).vector, numbers));
});

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

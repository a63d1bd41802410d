import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { CollectionClient } from "../../src/client/index.js";
import type { ErrorCode } from "../../src/errors/index.js";
import { assertProblem, base64, type RequestOptions, type ServerUnderTest, serve } from "./support.js";

let server: ServerUnderTest;
let cosine: CollectionClient;
let euclidean: CollectionClient;

before(async () => {
  server = await serve({
    limits: {
      bodyBytes: 200_000,
      itemsPerBatch: 20,
      queriesPerBatch: 3,
      k: 50,
      payloadBytes: 1000,
      filterDepth: 3,
      dimensions: 64,
    },
  });
  const settings = { modality: "vector", dimensions: 2 } as const;
  ({ collection: cosine } = await server.client.createCollection("cosine", settings));
  ({ collection: euclidean } = await server.client.createCollection("euclidean", { ...settings, metric: "euclidean" }));
  for (const collection of [cosine, euclidean]) {
    await collection.upsert([
      { id: "a", vector: [1, 0] },
      { id: "b", vector: [0, 1] },
      { id: "c", vector: [1, 1] },
    ]);
  }
});
after(() => server.stop());

const post = (rest: string, request: RequestOptions, collection = cosine) =>
  server.send("POST", `/v1/collections/${collection.name}/${rest}`, request);

/** Expects a refusal of these items, each after a good one, and that nothing was stored. */
async function refusedBatch(items: unknown[], code: ErrorCode, collection = cosine): Promise<void> {
  const before = await collection.count();
  const body = { items: [{ id: "good-before", vector: [1, 2] }, ...items, { id: "good-after", vector: [1, 2] }] };
  const problem = assertProblem(await post("items", { body }, collection), code);
  assert.ok(problem.detail.length > 0);
  assert.equal(await collection.count(), before, "nothing of a refused batch is stored");
  assertProblem(await server.send("GET", `/v1/collections/${collection.name}/items/good-before`), "item_not_found");
}

const BAD_VECTORS: [name: string, vector: unknown, code: ErrorCode][] = [
  ["too few dimensions", [1], "wrong_dimensions"],
  ["too many dimensions", [1, 2, 3], "wrong_dimensions"],
  ["no dimensions", [], "wrong_dimensions"],
  ["base64 of too few", base64([1]), "wrong_dimensions"],
  ["1e300", [1, 1e300], "not_finite"],
  ["-1e39", [-1e39, 1], "not_finite"],
  ["base64 NaN", base64([1, Number.NaN]), "not_finite"],
  ["base64 infinity", base64([Number.POSITIVE_INFINITY, 1]), "not_finite"],
  ["zero", [0, 0], "zero_vector"],
  ["minus zero", base64([-0, 0]), "zero_vector"],
  ["so small that float32 has zero", [1e-300, 0], "zero_vector"],
  ["not base64", "*** no base64 ***", "invalid_vector"],
  ["base64 of half a number", Buffer.alloc(6).toString("base64"), "invalid_vector"],
  ["null (what JSON makes of NaN)", [1, null], "validation_failed"],
  ["strings for numbers", ["1", "2"], "validation_failed"],
  ["an object", { 0: 1, 1: 2 }, "validation_failed"],
  ["nested", [[1, 2]], "validation_failed"],
];

for (const [name, vector, code] of BAD_VECTORS) {
  test(`a vector that is ${name} is refused with ${code}, in items, queries and feedback`, async () => {
    await refusedBatch([{ id: "bad", vector }], code);
    assertProblem(await post("query", { body: { vector } }), code);
    assertProblem(await post("query/batch", { body: { queries: [{ vector: [1, 2] }, { vector }] } }), code);
    const pair = { a: "a", b: { vector }, label: "similar" };
    assertProblem(await post("feedback", { body: { pairs: [{ a: "a", b: "b", label: "similar" }, pair] } }), code);
    assert.equal((await cosine.info()).status.feedback.pairs, 0, "nothing of refused feedback is kept");
  });
}

test("under the Euclidean metric a zero vector is a vector, and an overflowing distance is refused", async () => {
  await euclidean.upsert([{ id: "zero", vector: [0, 0] }]);
  assert.equal((await euclidean.query({ vector: [0, 0], k: 1 })).results[0]?.id, "zero");
  await euclidean.deleteItem("zero");
  await refusedBatch([{ id: "huge", vector: [3e38, 3e38] }], "not_finite", euclidean);
});

test("1e999 is refused, wherever it stands", async () => {
  assertProblem(await post("query", { raw: '{"vector":[1,1e999]}' }), "validation_failed");
  assertProblem(await post("items", { raw: '{"items":[{"id":"x","vector":[1,-1e999]}]}' }), "validation_failed");
  assertProblem(
    await post("items", { raw: '{"items":[{"id":"x","vector":[1,1],"payload":{"x":1E+400}}]}' }),
    "validation_failed",
  );
  const words = await post("items", { raw: '{"items":[{"id":"1e999","vector":[1,1],"payload":{"x":"1e999"}}]}' });
  assert.equal(words.status, 200, "as text it is no number");
  await cosine.deleteItem("1e999");
});

test("JSON that is none is refused, and says where", async () => {
  for (const raw of ["{", '{"items":[}', "{'items':[]}", '{"items":[NaN]}', "nonsense", '{"items":[]} more']) {
    assertProblem(await post("items", { raw }), "malformed_json");
  }
  assertProblem(await post("items", { raw: Buffer.from('{"items":[{"id":"\xff"}]}', "latin1") }), "malformed_json");
  const poison = '{"items":[{"id":"x","vector":[1,1],"payload":{"\\u005f_proto__":{"admin":true}}}]}';
  assertProblem(await post("items", { raw: poison }), "malformed_json");
  assert.match(assertProblem(await post("items", { raw: '{"items": nope}' }), "malformed_json").detail, /nope/);
});

test("bodies of other media types are refused", async () => {
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/xml", "nonsense"]) {
    const answer = await post("items", { raw: '{"items":[]}', headers: { "content-type": type } });
    assertProblem(answer, "unsupported_media_type");
  }
  const ndjson = await post("query", { raw: "{}", headers: { "content-type": "application/x-ndjson" } });
  assertProblem(ndjson, "unsupported_media_type");
  const charset = await post("query", {
    body: { vector: [1, 1] },
    headers: { "content-type": "application/json; charset=utf-8" },
  });
  assert.equal(charset.status, 200);
});

test("a missing body is refused", async () => {
  for (const rest of ["items", "query", "query/batch", "feedback", "items/get", "items/delete"]) {
    assertProblem(await post(rest, {}), "validation_failed");
    assertProblem(await post(rest, { raw: "", headers: { "content-type": "application/json" } }), "validation_failed");
    assertProblem(await post(rest, { raw: "null" }), "validation_failed");
    assertProblem(await post(rest, { raw: "[]" }), "validation_failed");
  }
});

test("unknown fields are refused by name, wherever they are", async () => {
  const cases: [string, unknown, string][] = [
    ["items", { items: [], extra: 1 }, "/extra"],
    ["items", { items: [{ id: "x", vector: [1, 1], vectors: [1] }] }, "/items/0/vectors"],
    ["query", { vector: [1, 1], K: 3 }, "/K"],
    ["query/batch", { queries: [{ vector: [1, 1], limit: 3 }] }, "/queries/0/limit"],
    ["feedback", { pairs: [{ a: "a", b: "b", label: "similar", weight: 2 }] }, "/pairs/0/weight"],
    ["fine-tunes", { epoch: 3 }, "/epoch"],
    ["items/get", { ids: [], "a/b~c": 1 }, "/a~1b~0c"],
    ["items/delete", { ids: [], x: 1 }, ""],
  ];
  for (const [rest, body, path] of cases) {
    const { errors } = assertProblem(await post(rest, { body }), "validation_failed");
    if (path !== "") assert.equal(errors?.[0]?.path, path);
  }
  const activation = await server.send("POST", "/v1/collections/cosine/generations/0/activate", {
    body: { now: true },
  });
  assertProblem(activation, "validation_failed");
});

test("values are never converted", async () => {
  const cases: [string, unknown, string][] = [
    ["query", { vector: [1, 1], k: "3" }, "/k"],
    ["query", { vector: [1, 1], k: 3.5 }, "/k"],
    ["query", { vector: [1, 1], k: null }, "/k"],
    ["query", { vector: [1, 1], k: 0 }, "/k"],
    ["query", { vector: [1, 1], exact: "true" }, "/exact"],
    ["query", { vector: [1, 1], exact: 1 }, "/exact"],
    ["query", { text: 5 }, "/text"],
    ["items", { items: { id: "x" } }, "/items"],
    ["items", { items: [{ id: 5, vector: [1, 1] }] }, "/items/0/id"],
    ["items", { items: [{ vector: [1, 1] }] }, "/items/0"],
    ["items", { items: [{ id: "x", vector: [1, 1], payload: [] }] }, "/items/0/payload"],
    ["feedback", { pairs: [{ a: "a", b: "b", label: "alike" }] }, "/pairs/0/label"],
    ["feedback", { labels: [{ item: "a", label: 3 }] }, "/labels/0/label"],
    ["fine-tunes", { epochs: "3" }, "/epochs"],
    ["fine-tunes", { loss: "magic" }, "/loss"],
  ];
  for (const [rest, body, path] of cases) {
    const { errors } = assertProblem(await post(rest, { body }), "validation_failed");
    assert.equal(errors?.[0]?.path, path, JSON.stringify(body));
  }
});

test("query strings are read by type, strictly", async () => {
  const list = (query: string) => server.send("GET", `/v1/collections/cosine/items?${query}`);
  for (const query of [
    "limit=0",
    "limit=1.5",
    "limit=ten",
    "limit=",
    "limit=1e3",
    "limit=10001",
    "limit=1&limit=2",
    "page=2",
    "withVector=1",
  ]) {
    assertProblem(await list(query), "validation_failed");
  }
  assert.equal((await list("limit=2&withVector=true")).json.items.length, 2);
  for (const cursor of ["nonsense!", "%00", ""]) assertProblem(await list(`cursor=${cursor}`), "invalid_cursor");
  assertProblem(await server.send("GET", "/v1/collections?cursor=!"), "invalid_cursor");
  const word = Buffer.from("word").toString("base64url");
  for (const numbered of ["feedback", "fine-tunes"]) {
    assertProblem(await server.send("GET", `/v1/collections/cosine/${numbered}?cursor=${word}`), "invalid_cursor");
  }
});

test("messages of unions say what fits, not what every alternative lacks", async () => {
  const filter = (condition: unknown) => post("query", { body: { vector: [1, 1], filter: { must: [condition] } } });
  const message = async (condition: unknown) =>
    assertProblem(await filter(condition), "validation_failed").errors?.[0]?.message;
  assert.equal(
    await message({ key: "x", equal: 1 }),
    'expected {key, equals}, {key, in}, {key, range}, {key, exists} or a filter, got an object with "key", "equal"',
  );
  assert.equal(
    await message({ key: "x", equals: [1] }),
    "expected a string, a finite number, true or false or null, got an array of 1",
  );
  assert.equal(await message({ key: "x", in: 1 }), "expected an array, got the number 1");
  assert.equal(await message({ key: "x", range: { above: 1 } }), 'unknown field "above"; known here: gt, gte, lt, lte');
  assert.equal(await message({ must: [{ key: "x", exists: "yes" }] }), 'expected true or false, got the string "yes"');
});

test("an item's id must be one", async () => {
  const ids = [
    "",
    ".",
    "..",
    "x".repeat(257),
    "😀".repeat(257),
    "a\u0000b",
    "a\nb",
    "\u007f",
    "\u0085",
    "\ud800",
    "x\udc00",
  ];
  for (const id of ids) await refusedBatch([{ id, vector: [1, 1] }], "invalid_id");
  const lone = '{"items":[{"id":"\\ud83d","vector":[1,1]}]}';
  assertProblem(await post("items", { raw: lone }), "invalid_id");
  await cosine.upsert([{ id: "x".repeat(256), vector: [1, 1] }]);
  await cosine.deleteItem("x".repeat(256));
});

test("an id twice in a batch is refused", async () => {
  await refusedBatch(
    [
      { id: "twice", vector: [1, 1] },
      { id: "twice", vector: [1, 2] },
    ],
    "duplicate_id",
  );
});

test("content of the wrong kind is refused", async () => {
  await refusedBatch([{ id: "x", text: "words" }], "wrong_modality");
  await refusedBatch([{ id: "x", text: "words", vector: [1, 1] }], "wrong_modality");
  await refusedBatch([{ id: "x" }], "wrong_modality");
  assertProblem(await post("query", { body: { text: "words" } }), "no_encoder");
  assertProblem(await post("query", { body: {} }), "validation_failed");
  assertProblem(await post("query", { body: { vector: [1, 1], itemId: "a" } }), "validation_failed");
  assertProblem(
    await post("feedback", { body: { pairs: [{ a: "a", b: { text: "x" }, label: "similar" }] } }),
    "wrong_modality",
  );
});

test("limits: each has its error, and what is at the limit passes", async () => {
  const items = (count: number) => Array.from({ length: count }, (_, i) => ({ id: `n${i}`, vector: [1, i] }));
  assertProblem(await post("items", { body: { items: items(21) } }), "batch_too_large");
  assert.equal((await post("items", { body: { items: items(20) } })).status, 200);
  assert.equal(await cosine.deleteItems({ ids: items(20).map(({ id }) => id) }), 20);
  const ids = items(21).map(({ id }) => id);
  assertProblem(await post("items/get", { body: { ids } }), "batch_too_large");
  assertProblem(await post("items/delete", { body: { ids } }), "batch_too_large");
  const labels = ids.map((id) => ({ item: id, label: "x" }));
  assertProblem(await post("feedback", { body: { labels } }), "batch_too_large");
  const queries = Array.from({ length: 4 }, () => ({ vector: [1, 1] }));
  assertProblem(await post("query/batch", { body: { queries } }), "batch_too_large");
  assert.equal((await post("query/batch", { body: { queries: queries.slice(1) } })).status, 200);
  assertProblem(await post("query", { body: { vector: [1, 1], k: 51 } }), "k_too_large");
  assert.equal((await post("query", { body: { vector: [1, 1], k: 50 } })).status, 200);
  const body = { modality: "vector", dimensions: 65 };
  assertProblem(await server.send("PUT", "/v1/collections/wide", { body }), "too_many_dimensions");
  await refusedBatch([{ id: "x", vector: [1, 1], payload: { x: "y".repeat(993) } }], "payload_too_large");
  await cosine.upsert([{ id: "x", vector: [1, 1], payload: { x: "y".repeat(992) } }]);
  await cosine.deleteItem("x");
  assertProblem(await post("items", { raw: `{"items":[${" ".repeat(200_000)}]}` }), "body_too_large");
  const chunked = { raw: `{"items":[${" ".repeat(200_000)}]}`, headers: { "transfer-encoding": "chunked" } };
  assertProblem(await post("items", chunked), "body_too_large");
});

test("filters nested too deeply are refused, however deeply", async () => {
  const nested = (levels: number) => `${'{"must":['.repeat(levels)}${"]}".repeat(levels)}`;
  const query = (levels: number) => post("query", { raw: `{"vector":[1,1],"filter":${nested(levels)}}` });
  assert.equal((await query(3)).status, 200);
  for (const levels of [4, 100, 5_000, 17_000]) assertProblem(await query(levels), "filter_too_deep");
  assertProblem(await post("items/count", { raw: `{"filter":${nested(4)}}` }), "filter_too_deep");
  assertProblem(await post("items/scroll", { raw: `{"filter":${nested(4)}}` }), "filter_too_deep");
  assertProblem(await post("items/delete", { raw: `{"filter":${nested(4)}}` }), "filter_too_deep");
  assert.equal(await cosine.count(), 3);
});

test("payloads nested too deeply are refused", async () => {
  const small = await serve();
  try {
    await small.client.createCollection("deep", { modality: "vector", dimensions: 1 });
    for (const levels of [200, 30_000]) {
      const payload = `{"x":${"[".repeat(levels)}${"]".repeat(levels)}}`;
      const raw = `{"items":[{"id":"x","vector":[1],"payload":${payload}}]}`;
      assertProblem(await small.send("POST", "/v1/collections/deep/items", { raw }), "payload_too_large");
    }
  } finally {
    await small.stop();
  }
});

test("unknown things are not found, by code", async () => {
  const cases: [string, string, ErrorCode, unknown?][] = [
    ["GET", "/v1/collections/nope", "collection_not_found"],
    ["PATCH", "/v1/collections/nope", "collection_not_found", { keepGenerations: 3 }],
    ["DELETE", "/v1/collections/nope", "collection_not_found"],
    ["POST", "/v1/collections/nope/items", "collection_not_found", { items: [] }],
    ["GET", "/v1/collections/nope/items", "collection_not_found"],
    ["GET", "/v1/collections/nope/items/a", "collection_not_found"],
    ["POST", "/v1/collections/nope/query", "collection_not_found", { vector: [1, 1] }],
    ["POST", "/v1/collections/nope/query/batch", "collection_not_found", { queries: [{ vector: [1, 1] }] }],
    ["POST", "/v1/collections/nope/feedback", "collection_not_found", { pairs: [] }],
    ["GET", "/v1/collections/nope/feedback", "collection_not_found"],
    ["DELETE", "/v1/collections/nope/feedback/1", "collection_not_found"],
    ["POST", "/v1/collections/nope/fine-tunes", "collection_not_found"],
    ["GET", "/v1/collections/nope/fine-tunes/1/events", "collection_not_found"],
    ["GET", "/v1/collections/nope/generations", "collection_not_found"],
    ["POST", "/v1/collections/nope/generations/0/activate", "collection_not_found"],
    ["GET", "/v1/collections/cosine/items/nope", "item_not_found"],
    ["PATCH", "/v1/collections/cosine/items/nope", "item_not_found", { payload: {} }],
    ["DELETE", "/v1/collections/cosine/items/nope", "item_not_found"],
    ["POST", "/v1/collections/cosine/query", "item_not_found", { itemId: "nope" }],
    ["DELETE", "/v1/collections/cosine/feedback/nope", "feedback_not_found"],
    ["GET", "/v1/collections/cosine/fine-tunes/nope", "fine_tune_not_found"],
    ["GET", "/v1/collections/cosine/fine-tunes/nope/events", "fine_tune_not_found"],
    ["POST", "/v1/collections/cosine/fine-tunes/nope/cancel", "fine_tune_not_found"],
    ["POST", "/v1/collections/cosine/generations/99/activate", "generation_not_found"],
    ["POST", "/v1/collections/cosine/generations/x/activate", "validation_failed"],
    ["POST", "/v1/collections/cosine/generations/-1/activate", "validation_failed"],
    ["POST", "/v1/embeddings", "model_not_found", { model: "nope", input: "x" }],
    ["POST", "/v1/embeddings", "no_encoder", { model: "cosine", input: "x" }],
    ["GET", "/v1/nothing", "route_not_found"],
    ["GET", "/", "route_not_found"],
  ];
  for (const [method, path, code, body] of cases) {
    assertProblem(await server.send(method, path, body === undefined ? {} : { body }), code);
  }
});

test("feedback that contradicts itself is refused whole", async () => {
  const contradictions = [
    {
      pairs: [
        { a: "a", b: "b", label: "similar" },
        { a: "b", b: "a", label: "dissimilar" },
      ],
    },
    { pairs: [{ a: "a", b: "a", label: "dissimilar" }] },
    { triplets: [{ anchor: "a", positive: "b", negative: "b" }] },
    {
      labels: [
        { item: "a", label: "x" },
        { item: "a", label: "y" },
      ],
    },
  ];
  for (const body of contradictions) {
    assertProblem(await post("feedback", { body }), "contradictory_feedback");
    const { pairs, triplets, labels } = (await cosine.info()).status.feedback;
    assert.deepEqual([pairs, triplets, labels], [0, 0, 0]);
  }
});

test("feedback about items that are not there is refused whole", async () => {
  const body = {
    pairs: [
      { a: "a", b: "b", label: "similar" },
      { a: "a", b: "nope", label: "similar" },
    ],
  };
  assertProblem(await post("feedback", { body }), "unknown_item");
  await cosine.upsert([{ id: "short-lived", vector: [1, 1] }]);
  await cosine.deleteItem("short-lived");
  const late = { pairs: [{ a: "a", b: "short-lived", label: "similar" }] };
  assertProblem(await post("feedback", { body: late }), "unknown_item");
  assert.equal((await cosine.info()).status.feedback.pairs, 0);
});

test("a fine-tune with too little feedback is refused", async () => {
  assertProblem(await post("fine-tunes", { body: {} }), "not_enough_feedback");
  assertProblem(await post("fine-tunes", {}), "not_enough_feedback");
  assert.deepEqual((await cosine.listFineTunes()).fineTunes, [], "no job was made");
});

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { JsonVectorReader, placeVectors } from "../../src/http/json-vectors.js";
import { Random } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";
import { base64, type ServerUnderTest, serve } from "./support.js";

const random = new Random(seedOf("bodies in parts", 5));
const DIMENSIONS = 32;

let server: ServerUnderTest;
before(async () => {
  server = await serve();
  await server.client.createCollection("v", { modality: "vector", dimensions: DIMENSIONS });
});
after(() => server.stop());

const numbers = () => Array.from({ length: DIMENSIONS }, () => Math.fround(random.normal()));
const manyItems = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, i) => ({ id: `${prefix}-${i}`, vector: numbers(), payload: { text: `é ${i}` } }));

/** Sends a body in the given parts; without a length where `chunked`. */
async function sendParts(body: Buffer, cuts: readonly number[], chunked: boolean) {
  const headers = { "content-type": "application/json", ...(chunked ? {} : { "content-length": body.length }) };
  const request = http.request(`${server.address}/v1/collections/v/items`, { method: "POST", headers });
  const answered = once(request, "response") as Promise<[http.IncomingMessage]>;
  let start = 0;
  for (const end of [...cuts, body.length]) {
    request.write(body.subarray(start, end));
    start = end;
    await sleep(1);
  }
  request.end();
  const [response] = await answered;
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part as Buffer);
  return { status: response.statusCode, json: JSON.parse(Buffer.concat(parts).toString()) };
}

test("a body cut anywhere is read as it is in one piece, its vectors as numbers or as Base64", () => {
  const items = [numbers(), numbers(), numbers()];
  const bodies = [
    JSON.stringify({ items: items.map((vector, i) => ({ id: `é${i}`, vector })) }, undefined, 1),
    JSON.stringify({ items: items.map((vector, i) => ({ vector: base64(vector), id: `"vector":[${i}` })) }),
    JSON.stringify({ vector: items[0], payload: { vector: "neither Base64 nor numbers" } }),
  ];
  for (const text of bodies) {
    const whole = Buffer.from(text);
    for (let cut = 0; cut <= whole.length; cut++) {
      const reader = new JsonVectorReader(true);
      reader.read(whole.subarray(0, cut));
      const { value, placements } = reader.end(whole);
      placeVectors(placements);
      const vectors = (value as { items?: { vector: Float32Array }[] }).items ?? [value as { vector: Float32Array }];
      assert.equal(placements.length, vectors.length, `cut at ${cut}`);
      for (const [i, { vector }] of vectors.entries()) assert.deepEqual(vector, Float32Array.from(items[i]!));
    }
  }
});

test("a string under `vector` that is not a vector stays where it is, as do faults", () => {
  for (const vector of ["", "AAAA", "not base64!", "AACA Pw==", "AACAP\\u0077=="]) {
    const body = `{"id":"a","vector":"${vector}"}`;
    assert.deepEqual(new JsonVectorReader(true).end(Buffer.from(body)), { value: JSON.parse(body), placements: [] });
  }
  const late = Buffer.from(`{"vector":"${base64(numbers())}", nope}`);
  assert.throws(() => new JsonVectorReader(true).end(late), {
    code: "malformed_json",
    message: new RegExp(`position ${late.indexOf("nope")}`),
  });
});

test("inserts that arrive in parts, with and without a length, side by side, are stored to the bit", async () => {
  const given = ["a", "b", "c", "d", "e", "f"].map((prefix, i) => {
    const items = manyItems(prefix, 800 + 100 * i);
    const sent = i % 2 === 0 ? items : items.map((item) => ({ ...item, vector: base64(item.vector) }));
    return { items, body: Buffer.from(JSON.stringify({ items: sent })) };
  });
  // Twice, so that memory of the first bodies is used again.
  for (let round = 0; round < 2; round++) {
    const answers = await Promise.all(
      given.map(({ body }, i) => {
        const cuts = Array.from({ length: 5 }, () => random.integer(body.length)).sort((a, b) => a - b);
        return sendParts(body, cuts, i >= 3);
      }),
    );
    for (const { status, json } of answers) assert.equal(status, 200, JSON.stringify(json));
  }
  const collection = server.client.collection("v");
  for (const { items } of given) {
    const some = [items[0]!, items[items.length >> 1]!, items.at(-1)!];
    const stored = await collection.getItems(
      some.map(({ id }) => id),
      { withVector: "float32" },
    );
    for (const [i, { id, vector, payload }] of some.entries()) {
      assert.deepEqual([stored[i]!.id, stored[i]!.payload], [id, payload]);
      assert.deepEqual(stored[i]!.vector, Float32Array.from(vector));
    }
  }
});

test("a body beyond the limit is refused, also one that does not say how long it is", async () => {
  const small = await serve({ limits: { bodyBytes: 10_000 } });
  try {
    await small.client.createCollection("v", { modality: "vector", dimensions: DIMENSIONS });
    const body = JSON.stringify({ items: manyItems("x", 50) });
    for (const chunked of [false, true]) {
      const headers = { "content-type": "application/json", ...(chunked ? {} : { "content-length": body.length }) };
      const request = http.request(`${small.address}/v1/collections/v/items`, { method: "POST", headers });
      request.on("error", () => {});
      const answered = once(request, "response") as Promise<[http.IncomingMessage]>;
      request.end(body);
      const [response] = await answered;
      assert.equal(response.statusCode, 413);
      response.resume();
    }
    assert.equal((await small.client.collection("v").info()).status.items, 0);
  } finally {
    await small.stop();
  }
});

test("an insert whose sender goes away stores nothing, and the next one is taken", async () => {
  const { hostname, port } = new URL(server.address);
  const collection = server.client.collection("v");
  const before = await collection.count();
  const body = JSON.stringify({ items: manyItems("gone", 400) });
  const socket = net.connect(Number(port), hostname);
  const head = `POST /v1/collections/v/items HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
  socket.write(head + body.slice(0, body.length - 10));
  await sleep(50);
  socket.destroy();
  const { upserted } = await collection.upsert([{ id: "after", vector: numbers() }]);
  assert.equal(upserted, 1);
  assert.equal(await collection.count(), before + 1);
});

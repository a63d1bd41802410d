import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync, statSync, unlinkSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import sharp from "sharp";
import type { ErrorCode } from "../../src/errors/index.js";
import { COLOUR_DIMENSIONS, embeddingOf, writeColourEncoder, writeColourPair } from "../support/colour-encoder.js";
import { COLOURS, hugePng, plain, png } from "../support/pictures.js";
import { assertProblem, type ServerUnderTest, serve } from "./support.js";

const folder = mkdtempSync(join(tmpdir(), "attune-images-"));
let server: ServerUnderTest;
let encoder: string;
let pair: string;
before(async () => {
  encoder = writeColourEncoder(join(folder, "colours"));
  pair = writeColourPair(join(folder, "pair"));
  server = await serve({ limits: { imagePixels: 1_000_000, bodyBytes: 4_000_000 } });
});
after(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const post = (path: string, body: unknown) => server.send("POST", `/v1/collections/${path}`, { body });

/** A new image collection with these items. */
async function collectionOf(name: string, images: Record<string, Uint8Array>, settings = {}) {
  const { collection } = await server.client.createCollection(name, { modality: "image", encoder, ...settings });
  const items = Object.entries(images).map(([id, bytes]) => ({ id, image: base64(bytes) }));
  const answer = await post(`${name}/items`, { items });
  assert.equal(answer.status, 200, answer.text);
  return collection;
}

/** The bytes of an answer, which is no JSON. */
function download(path: string, headers: Record<string, string> = {}, method = "GET") {
  return new Promise<{ status: number; headers: http.IncomingHttpHeaders; bytes: Buffer }>((resolve, reject) => {
    const request = http.request(server.address + path, { method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, bytes: Buffer.concat(chunks) }),
      );
    });
    request.on("error", reject);
    request.end();
  });
}

/** Names of the content files of every collection. */
function contentFiles(): string[] {
  const root = join(server.data, "collections");
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((name) => name.includes("/content/") && statSync(join(root, name)).isFile())
    .map((name) => name.split("/").slice(2).join(""));
}

test("images are found by an image, by an item, and come back as they were sent", async () => {
  const images = { "a/red": plain("red"), green: plain("green"), blue: plain("blue") };
  const collection = await collectionOf("colours", images);
  const item = await collection.getItem("a/red");
  assert.deepEqual(item, { id: "a/red", imageUrl: "/v1/collections/colours/items/a%2Fred/image", payload: null });
  const nearest = await post("colours/query", { image: base64(plain("red", 12)), k: 2 });
  assert.deepEqual(
    nearest.json.results.map(({ id }: { id: string }) => id),
    ["a/red", "green"],
  );
  const { results } = await collection.query({ itemId: "green", k: 3 });
  assert.equal(results.length, 2);
  const batch = await post("colours/query/batch", {
    queries: [
      { image: base64(plain("blue", 3)), k: 1 },
      { itemId: "a/red", k: 1 },
      { vector: embeddingOf(COLOURS.green), k: 1 },
    ],
  });
  assert.deepEqual(
    batch.json.results.map(([hit]: { id: string }[]) => hit?.id),
    ["blue", "green", "green"],
  );

  const path = item.imageUrl ?? "";
  const answer = await download(path);
  assert.equal(answer.status, 200);
  assert.deepEqual(answer.bytes, images["a/red"]);
  assert.equal(answer.headers["content-type"], "image/png");
  assert.equal(answer.headers.etag, `"${sha256(images["a/red"])}"`);
  assert.equal(answer.headers["cache-control"], "private, no-cache");
  assert.equal(answer.headers["x-content-type-options"], "nosniff");
});

test("an embedding of an image is the encoder's, of length 1", async () => {
  const collection = await collectionOf("embedded", { red: plain("red") });
  const { vector = [] } = await collection.getItem("red", { withVector: true });
  const expected = embeddingOf(COLOURS.red);
  const length = Math.hypot(...expected);
  assert.equal(vector.length, COLOUR_DIMENSIONS);
  for (const [i, value] of vector.entries()) assert.ok(Math.abs(value - expected[i]! / length) < 1e-5, `${vector}`);
  const { status, dimensions } = await collection.info();
  assert.deepEqual([dimensions, status.encoder?.dimensions], [COLOUR_DIMENSIONS, COLOUR_DIMENSIONS]);
});

test("without another encoder, images are encoded by the built-in one", async () => {
  const { collection, info } = await server.client.createCollection("built-in", { modality: "image" });
  assert.equal(info.encoder, "patch-cnn");
  const shapes = {
    stripes: png(32, 32, (x) => (x % 8 < 4 ? COLOURS.white : COLOURS.blue)),
    disc: png(32, 32, (x, y) => (Math.hypot(x - 16, y - 16) < 9 ? COLOURS.red : COLOURS.white)),
  };
  await collection.upsert(Object.entries(shapes).map(([id, image]) => ({ id, image })));
  const moved = png(32, 32, (x, y) => (Math.hypot(x - 17, y - 15) < 9 ? COLOURS.red : COLOURS.white));
  const { results } = await collection.query({ image: moved, k: 2 });
  assert.deepEqual(
    results.map(({ id }) => id),
    ["disc", "stripes"],
  );
  assert.equal((await collection.info()).status.encoder?.maxTokens, undefined, "it reads no tokens");
});

test("who has an image is told that it still holds, until another is put there", async () => {
  const collection = await collectionOf("cached", { x: plain("red") });
  const path = "/v1/collections/cached/items/x/image";
  const tag = `"${sha256(plain("red"))}"`;
  for (const held of [tag, `W/${tag}`, `"other", ${tag}`, "*"]) {
    const answer = await download(path, { "if-none-match": held });
    assert.equal(answer.status, 304, held);
    assert.equal(answer.bytes.length, 0);
    assert.equal(answer.headers.etag, tag);
  }
  assert.equal((await download(path, { "if-none-match": '"other"' })).status, 200);
  const head = await download(path, {}, "HEAD");
  assert.deepEqual([head.status, head.headers["content-length"]], [200, String(plain("red").length)]);
  await collection.upsert([{ id: "x", image: base64(plain("blue")) }]);
  const changed = await download(path, { "if-none-match": tag });
  assert.equal(changed.status, 200);
  assert.deepEqual(changed.bytes, plain("blue"));
});

test("the media type is told from the bytes, whatever the client calls them", async () => {
  const raw = sharp(plain("green"));
  const files = {
    "image/png": plain("green"),
    "image/jpeg": await raw.clone().jpeg().toBuffer(),
    "image/webp": await raw.clone().webp().toBuffer(),
    "image/gif": await raw.clone().gif().toBuffer(),
    "image/avif": await raw.clone().avif().toBuffer(),
    "image/tiff": await raw.clone().tiff().toBuffer(),
  };
  const { collection } = await server.client.createCollection("formats", { modality: "image", encoder });
  const items = Object.entries(files).map(([type, bytes]) => ({
    id: type,
    image: `data:image/x-wrong;base64,${base64(bytes)}`,
  }));
  assert.equal((await post("formats/items", { items })).json.upserted, 6);
  for (const [type, bytes] of Object.entries(files)) {
    const answer = await download(`/v1/collections/formats/items/${encodeURIComponent(type)}/image`);
    assert.equal(answer.headers["content-type"], type);
    assert.deepEqual(answer.bytes, bytes);
  }
  const { results } = await collection.query({ image: base64(plain("green", 2)), k: 6 });
  for (const { id, score } of results) assert.ok(score > 0.98, `${id}: ${score}`);
});

const good = base64(plain("red"));
const cut = (share: number) => {
  const bytes = png(200, 200, (x, y) => [(x * y) % 256, x % 256, y % 256]);
  return bytes.subarray(0, Math.floor(bytes.length * share));
};
const BAD_IMAGES: [name: string, image: unknown, code: ErrorCode][] = [
  ["empty", "", "invalid_image"],
  ["not base64", "*** no base64 ***", "invalid_image"],
  ["base64 with line breaks", good.replace(/.{20}/g, "$&\n"), "invalid_image"],
  ["base64 for addresses (- and _)", Buffer.from([0xff, 0xef, 0xbe, 0xfb]).toString("base64url"), "invalid_image"],
  ["base64 cut in the middle of a byte", good.replace(/=+$/, "").slice(0, 4 * 20 + 1), "invalid_image"],
  ["the address of an image", "https://example.org/cat.jpg", "invalid_image"],
  ["text", base64(Buffer.from("not an image at all")), "invalid_image"],
  ["an SVG", base64(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>')), "invalid_image"],
  ["cut short", base64(cut(0.6)), "invalid_image"],
  ["a header alone", base64(cut(0.001).subarray(0, 40)), "invalid_image"],
  ["of too many pixels", base64(hugePng(1200, 1000)), "image_too_large"],
  ["a bomb", base64(hugePng(60_000, 60_000)), "image_too_large"],
  ["a number", 5, "validation_failed"],
  ["null", null, "validation_failed"],
];

for (const [name, image, code] of BAD_IMAGES) {
  test(`an image that is ${name} is refused with ${code}, and nothing is stored`, async () => {
    const { collection } = await server.client.createCollection("strict", { modality: "image", encoder });
    const files = contentFiles().length;
    const items = [
      { id: "good", image: good },
      { id: "bad", image },
      { id: "good too", image: base64(plain("blue")) },
    ];
    const problem = assertProblem(await post("strict/items", { items }), code);
    assert.match(problem.errors?.[0]?.path ?? "", /^\/items\/1/);
    assertProblem(await post("strict/query", { image }), code);
    const batch = assertProblem(
      await post("strict/query/batch", { queries: [{ vector: [1, 0, 0, 0, 0, 0] }, { image }] }),
      code,
    );
    assert.match(batch.errors?.[0]?.path ?? "", /^\/queries\/1/);
    const labels = [
      { item: { image: good }, label: "x" },
      { item: { image }, label: "y" },
    ];
    assertProblem(await post("strict/feedback", { labels }), code);
    assert.equal(await collection.count(), 0);
    assert.equal((await collection.info()).status.feedback.labels, 0);
    assert.equal(contentFiles().length, files, "no file is left of what was refused");
  });
}

test("content of another kind, or of two kinds, is refused", async () => {
  await collectionOf("kinds", {});
  await server.client.createCollection("vectors", { modality: "vector", dimensions: 2 });
  for (const item of [
    { text: "x" },
    { vector: [1, 0, 0, 0, 0, 0] },
    {},
    { image: good, text: "x" },
    { image: good, vector: [1] },
  ]) {
    assertProblem(await post("kinds/items", { items: [{ id: "a", ...item }] }), "wrong_modality");
  }
  assertProblem(await post("vectors/items", { items: [{ id: "a", image: good }] }), "wrong_modality");
  assertProblem(await post("vectors/query", { image: good }), "no_encoder");
  assertProblem(await post("vectors/feedback", { labels: [{ item: { image: good }, label: "x" }] }), "wrong_modality");
  assertProblem(await post("kinds/query", { text: "red" }), "wrong_modality");
  assertProblem(await post("kinds/query", { image: good, text: "red" }), "validation_failed");
  assertProblem(await post("kinds/feedback", { labels: [{ item: { text: "red" }, label: "x" }] }), "wrong_modality");
  const embeddings = (model: string) => server.send("POST", "/v1/embeddings", { body: { model, input: "red" } });
  assertProblem(await embeddings("kinds"), "wrong_modality");
  assertProblem(await embeddings(encoder), "wrong_modality");
  await server.client.createCollection("words", { modality: "text" });
  assertProblem(await post("words/query", { image: good }), "wrong_modality");
  assertProblem(await post("words/feedback", { labels: [{ item: { image: good }, label: "x" }] }), "wrong_modality");
  const problem = assertProblem(await embeddings("vectors"), "no_encoder");
  assert.doesNotMatch(problem.detail, /send "vector"/, "no advice that this route cannot take");
  assertProblem(await server.send("GET", "/v1/collections/vectors/items/none/image"), "item_not_found");
  await server.client.collection("vectors").upsert([{ id: "v", vector: [1, 2] }]);
  assertProblem(await server.send("GET", "/v1/collections/vectors/items/v/image"), "content_not_found");
  assertProblem(await server.send("GET", `/v1/collections/kinds/content/${"0".repeat(64)}`), "content_not_found");
  assertProblem(await server.send("GET", "/v1/collections/kinds/content/%2e%2e%2fx"), "validation_failed");
});

test("a collection and its encoder must read the same, and prompts need an encoder that reads texts", async () => {
  const put = (body: unknown) => server.send("PUT", "/v1/collections/refused", { body });
  assertProblem(await put({ modality: "text", encoder }), "invalid_setting");
  assertProblem(await put({ modality: "text", encoder: pair }), "invalid_setting");
  assertProblem(await put({ modality: "image", encoder: "use-lite" }), "invalid_setting");
  assertProblem(await put({ modality: "image", encoder, prompts: { query: "a photo of " } }), "invalid_setting");
  assertProblem(await put({ modality: "image", encoder: pair, prompts: { item: "a photo of " } }), "invalid_setting");
  assertProblem(await put({ modality: "image", encoder, dimensions: 6 }), "invalid_setting");
  assertProblem(await server.send("GET", "/v1/collections/refused"), "collection_not_found");
});

test("with a CLIP pair a text finds images, in queries, feedback and embeddings", async () => {
  const images = { red: plain("red"), green: plain("green"), blue: plain("blue") };
  const collection = await collectionOf("pair", images, { encoder: pair, prompts: { query: "white " } });
  const nearest = async (query: object) => (await collection.query({ ...query, k: 1 })).results[0]?.id;
  assert.equal(await nearest({ text: "blue" }), "blue");
  assert.equal(await nearest({ text: "red red" }), "red");
  assert.equal(await nearest({ image: base64(plain("green", 3)) }), "green");
  const labels = [
    { item: { text: "red" }, label: "warm" },
    { item: { image: good }, label: "warm" },
  ];
  assert.equal((await collection.submitFeedback({ labels })).accepted, 2);
  const { data } = await server.client.embed({ model: "pair", input: ["red", "blue"] });
  assert.deepEqual(
    data.map(({ embedding }) => embedding.length),
    [COLOUR_DIMENSIONS, COLOUR_DIMENSIONS],
  );
  assertProblem(await post("pair/query", { text: " " }), "empty_text");
});

test("the same image again changes nothing but the payload; another one is a new content", async () => {
  const collection = await collectionOf("again", { x: plain("red"), y: plain("green") });
  await collection.submitFeedback({ labels: [{ item: "x", label: "warm" }] });
  const stale = async () => (await collection.listFeedback()).feedback[0]?.stale;
  await collection.upsert([{ id: "x", image: good, payload: { seen: 2 } }]);
  assert.equal(await stale(), false);
  assert.deepEqual((await collection.patchItem("x", { more: true })).payload, { seen: 2, more: true });
  assert.deepEqual((await download("/v1/collections/again/items/x/image")).bytes, plain("red"));
  await collection.upsert([{ id: "x", image: base64(plain("blue")) }]);
  assert.equal(await stale(), true);
});

test("one content is one file, which goes with the last item or feedback that refers to it", async () => {
  const image = plain("white", -33);
  const hash = sha256(image);
  const collection = await collectionOf("shared", { a: image, b: image });
  const { ids } = await collection.submitFeedback({
    pairs: [{ a: { image: base64(image) }, b: "a", label: "similar" }],
  });
  assert.equal(contentFiles().filter((name) => name === hash).length, 1);
  const { feedback } = await collection.listFeedback();
  const url = `/v1/collections/shared/content/${hash}`;
  assert.deepEqual(feedback[0]?.pair, { a: { image: { hash, url } }, b: "a", label: "similar" });
  const answer = await download(url);
  assert.deepEqual([answer.status, answer.headers["content-type"]], [200, "image/png"]);
  assert.match(answer.headers["cache-control"] ?? "", /immutable/);
  assert.deepEqual(answer.bytes, image);
  assert.equal((await download(url, { "if-none-match": `"${hash}"` })).status, 304);

  await collection.deleteItems({ ids: ["a", "b"] });
  await server.restart();
  assert.deepEqual((await download(url)).bytes, image, "feedback keeps it, over a restart too");
  const reopened = server.client.collection("shared");
  await reopened.deleteFeedback(ids[0] ?? "");
  for (let waited = 0; contentFiles().includes(hash) && waited < 5000; waited += 20)
    await new Promise((resolve) => setTimeout(resolve, 20));
  assert.ok(!contentFiles().includes(hash));
  assertProblem(await server.send("GET", url), "content_not_found");
});

test("an image whose file was lost is a fault of the server; its item stays, and sending it again repairs it", async () => {
  const quiet = await serve({ logLevel: "silent" });
  try {
    const { collection } = await quiet.client.createCollection("lost", { modality: "image", encoder });
    await collection.upsert([{ id: "x", image: good }]);
    const root = join(quiet.data, "collections");
    const file = readdirSync(root, { recursive: true, encoding: "utf8" }).find((name) =>
      name.endsWith(sha256(plain("red")).slice(2)),
    );
    unlinkSync(join(root, file ?? ""));
    assertProblem(await quiet.send("GET", "/v1/collections/lost/items/x/image"), "internal");
    assert.equal((await collection.getItem("x")).id, "x");
    assert.equal((await collection.query({ image: good, k: 1 })).results[0]?.id, "x");
    await collection.upsert([{ id: "x", image: good }]);
    assert.equal((await quiet.send("GET", "/v1/collections/lost/items/x/image")).status, 200);
  } finally {
    await quiet.stop();
  }
});

test("an import keeps good images and reports bad ones by their line", async () => {
  const { collection } = await server.client.createCollection("imported", { modality: "image", encoder });
  const lines = [
    { id: "a", image: good },
    { id: "b", image: base64(cut(0.5)) },
    { id: "a", image: base64(cut(0.5)) },
    { id: "c", text: "no image" },
    { id: "d", image: base64(plain("blue")), payload: { n: 1 } },
    { id: "e", image: base64(hugePng(5000, 5000)) },
    { id: "d", image: base64(plain("green")) },
  ];
  const answer = await server.send("POST", "/v1/collections/imported/items", {
    raw: lines.map((line) => JSON.stringify(line)).join("\n"),
    headers: { "content-type": "application/x-ndjson" },
  });
  assert.equal(answer.status, 200, answer.text);
  const { upserted, failed, errors } = answer.json;
  assert.deepEqual([upserted, failed], [3, 4]);
  assert.deepEqual(
    errors.map(({ line, code }: { line: number; code: string }) => [line, code]),
    [
      [2, "invalid_image"],
      [3, "invalid_image"],
      [4, "wrong_modality"],
      [6, "image_too_large"],
    ],
  );
  assert.deepEqual(
    (await collection.getItems(["a", "b", "c", "d", "e"])).map(({ id }) => id),
    ["a", "d"],
  );
  assert.deepEqual((await download("/v1/collections/imported/items/a/image")).bytes, plain("red"));
  assert.deepEqual((await download("/v1/collections/imported/items/d/image")).bytes, plain("green"));
});

test("an import of more bytes than are held at once is stored part by part", async () => {
  const { collection } = await server.client.createCollection("large", { modality: "image", encoder });
  // What stands after the end of a PNG is not read, and makes ten files of 2.1 MB: more than one part.
  const large = (i: number) => base64(Buffer.concat([plain("red", i), Buffer.alloc(2_100_000, i)]));
  const raw = Array.from({ length: 10 }, (_, i) => JSON.stringify({ id: `n${i}`, image: large(i) })).join("\n");
  const answer = await server.send("POST", "/v1/collections/large/items", {
    raw,
    headers: { "content-type": "application/x-ndjson" },
  });
  assert.equal(answer.json.upserted, 10, answer.text);
  assert.equal(await collection.count(), 10);
  const { status } = await collection.info();
  assert.ok(
    status.bytesOnDisk > raw.length / 2,
    `${status.bytesOnDisk} bytes on disk count the files of ${raw.length} bytes`,
  );
});

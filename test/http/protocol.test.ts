import assert from "node:assert/strict";
import net from "node:net";
import { after, before, test } from "node:test";
import { AttuneError, CATALOGUE } from "../../src/errors/index.js";
import { createApp, mountRoutes } from "../../src/http/app.js";
import { problemOfClientError } from "../../src/http/error-handling.js";
import { assertProblem, type ServerUnderTest, serve } from "./support.js";

let server: ServerUnderTest;
before(async () => {
  server = await serve();
  await server.client.createCollection("c", { modality: "vector", dimensions: 2 });
});
after(() => server.stop());

/** Sends these very bytes; gives the whole answer. */
function sendBytes(bytes: string): Promise<string> {
  const { hostname, port } = new URL(server.address);
  return new Promise((resolve, reject) => {
    const socket = net.connect(Number(port), hostname, () => socket.write(bytes));
    let answer = "";
    socket.setEncoding("utf8").on("data", (chunk) => {
      answer += chunk;
    });
    socket.on("error", reject).on("close", () => resolve(answer));
  });
}

const bodyOf = (answer: string) => JSON.parse(answer.slice(answer.indexOf("\r\n\r\n") + 4));

test("a method that a path does not have is refused, and those it has are named", async () => {
  const answer = await server.send("PATCH", "/v1/collections/c/items");
  assertProblem(answer, "method_not_allowed");
  assert.deepEqual(String(answer.headers.allow).split(", ").sort(), ["GET", "HEAD", "POST"]);
  for (const [method, path] of [
    ["POST", "/v1/collections"],
    ["PUT", "/v1/collections/c/query"],
    ["GET", "/v1/collections/c/query"],
    ["DELETE", "/healthz"],
    ["GET", "/v1/collections/c/generations/0/activate"],
  ] as const) {
    assertProblem(
      await server.send(method, path, { raw: "not read", headers: { "content-type": "text/plain" } }),
      "method_not_allowed",
    );
  }
});

test("HEAD answers as GET does, without the body", async () => {
  const head = await server.send("HEAD", "/v1/collections/c");
  assert.equal(head.status, 200);
  assert.equal(head.text, "");
});

test("paths are taken as they are written", async () => {
  for (const path of ["/v1/collections/c/", "/v1//collections", "/V1/collections", "/v1/collections/c/items/a/b"]) {
    assertProblem(await server.send("GET", path), "route_not_found");
  }
  assertProblem(await server.send("GET", "/v1/collections/c/items/%"), "malformed_request");
  assertProblem(await server.send("GET", "/v1/collections/c/items/%zz"), "malformed_request");
  assertProblem(await server.send("GET", "/v1/collections/c/items/%ff"), "malformed_request");
  assertProblem(await server.send("GET", `/v1/collections/c/items/${"x".repeat(4000)}`), "url_too_long");
});

test("headers that are too large are refused", async () => {
  assertProblem(await server.send("GET", "/healthz", { headers: { cookie: "x".repeat(20_000) } }), "headers_too_large");
});

test("bytes that are no request are answered with a problem, and the connection is closed", async () => {
  const answer = await sendBytes("what is this?\r\n\r\n");
  assert.match(answer, /^HTTP\/1\.1 400 Bad Request\r\n/);
  assert.match(answer, /content-type: application\/problem\+json/);
  assert.equal(bodyOf(answer).code, "malformed_request");
});

test("what never becomes a request has a problem for each way to fail", () => {
  const problem = (code: string) => problemOfClientError(Object.assign(new Error("x"), { code }));
  assert.equal(problem("ERR_HTTP_REQUEST_TIMEOUT").code, "request_timeout");
  assert.equal(problem("ERR_HTTP_REQUEST_TIMEOUT").status, 408);
  assert.equal(problem("HPE_HEADER_OVERFLOW").code, "headers_too_large");
  assert.equal(problem("HPE_INVALID_METHOD").code, "malformed_request");
});

test("health and readiness", async () => {
  assert.deepEqual(await server.client.health(), { status: "ok" });
  const readiness = await server.client.readiness();
  assert.equal(readiness.status, "ready");
  assert.equal(readiness.collections.open, 1);
  assert.ok(readiness.availableProviders.includes("cpu"));
  assert.match(readiness.version, /^\d+\.\d+\.\d+/);
});

test("until the database is open, only health is answered", async () => {
  const app = createApp({ logLevel: "silent" });
  mountRoutes(
    app,
    () => {
      throw new AttuneError("starting", "not yet");
    },
    1000,
  );
  try {
    assert.equal((await app.inject("/healthz")).statusCode, 200);
    for (const url of ["/readyz", "/v1/collections", "/v1/collections/c/items/a"]) {
      const answer = await app.inject(url);
      assert.equal(answer.statusCode, 503);
      assert.equal(answer.json().code, "starting");
      assert.equal(answer.headers["retry-after"], "1");
    }
  } finally {
    await app.close();
  }
});

test("a fault of the server is answered without a word of its inside", async () => {
  const app = createApp({ logLevel: "silent" });
  app.get("/throws", async () => {
    throw new TypeError("secret /path/of/the/server");
  });
  app.get("/internal", async () => {
    throw new AttuneError("internal", "secret /path/of/the/server");
  });
  try {
    for (const url of ["/throws", "/internal"]) {
      const answer = await app.inject(url);
      assert.equal(answer.statusCode, 500);
      assert.equal(answer.json().code, "internal");
      assert.equal(answer.json().title, CATALOGUE.internal.title);
      assert.doesNotMatch(answer.body, /secret/);
    }
  } finally {
    await app.close();
  }
});

test("the type of a problem is a page of the server that explains it", async () => {
  const { type } = assertProblem(await server.send("GET", "/nothing"), "route_not_found");
  const [path, anchor] = type.split("#");
  const page = await server.send("GET", path!);
  assert.equal(page.status, 200);
  assert.match(page.headers["content-type"] ?? "", /^text\/markdown/);
  assert.ok(page.text.includes(`### ${anchor}\n`));
});

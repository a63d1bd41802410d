import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import http from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { AttuneClient } from "../../src/client/index.js";
import { startServer } from "../../src/http/index.js";
import { assertProblem, send } from "./support.js";

async function withData(work: (data: string) => Promise<void>): Promise<void> {
  const data = await mkdtemp(path.join(tmpdir(), "attune-shutdown-"));
  try {
    await work(data);
  } finally {
    await rm(data, { recursive: true, force: true });
  }
}

const options = (data: string) => ({ data, port: 0, logLevel: "silent", durability: "os" }) as const;

test("closing answers what is in flight, refuses what comes after, and keeps what was acknowledged", () =>
  withData(async (data) => {
    const server = await startServer(options(data));
    const client = new AttuneClient({ baseUrl: server.address });
    await client.createCollection("c", { modality: "vector", dimensions: 2 });
    const { hostname, port } = new URL(server.address);
    // A request whose body has come by half when the server begins to close, on a connection of its own.
    const agent = new http.Agent({ keepAlive: true });
    const body = JSON.stringify({ items: [{ id: "half", vector: [1, 2] }] });
    const answered = new Promise<http.IncomingMessage>((resolve, reject) => {
      const headers = { "content-type": "application/json", "content-length": body.length };
      const target = { hostname, port, agent, method: "POST", path: "/v1/collections/c/items", headers };
      const request = http.request(target, resolve).on("error", reject);
      request.write(body.slice(0, 10));
      setTimeout(() => request.end(body.slice(10)), 200);
    });
    await delay(50);
    client.close();
    const closed = server.close();
    const response = await answered;
    assert.equal(response.statusCode, 200);
    assert.equal(response.headers.connection, "close", "the connection does not keep the server open");
    response.resume();
    await closed;
    agent.destroy();
    await assert.rejects(send(server.address, "GET", "/healthz"), { code: "ECONNREFUSED" });
    const again = await startServer(options(data));
    const reader = new AttuneClient({ baseUrl: again.address });
    assert.equal((await reader.collection("c").getItem("half")).id, "half");
    reader.close();
    await again.close();
  }));

test("a request on a kept connection of a closing server is refused with Retry-After", () =>
  withData(async (data) => {
    const server = await startServer(options(data));
    const { hostname, port } = new URL(server.address);
    const { createConnection } = await import("node:net");
    const socket = createConnection({ host: hostname, port: Number(port) });
    let text = "";
    socket.setEncoding("utf8").on("data", (chunk) => {
      text += chunk;
    });
    const ended = new Promise((resolve) => socket.once("close", resolve));
    // Two requests on one connection; the second begins while the first still waits for its body.
    socket.write(
      "POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{",
    );
    await delay(100);
    const closed = server.close();
    await delay(50);
    socket.write("}GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    await ended;
    await closed;
    assert.match(text, /^HTTP\/1\.1 400 /, "the first, begun before, is answered");
    if (text.includes("HTTP/1.1 503")) assert.match(text, /retry-after: 1[\s\S]*"code":"shutting_down"/);
  }));

test("closing twice is closing once", () =>
  withData(async (data) => {
    const server = await startServer(options(data));
    await Promise.all([server.close(), server.close()]);
  }));

test("a data directory in use is refused with data_locked, and the port is given back", () =>
  withData(async (data) => {
    const server = await startServer(options(data));
    await assert.rejects(startServer(options(data)), { code: "data_locked" });
    assert.equal((await send(server.address, "GET", "/healthz")).status, 200);
    await server.close();
  }));

test("a port in use is refused before the data directory is opened", () =>
  withData(async (data) => {
    const server = await startServer(options(data));
    const port = Number(new URL(server.address).port);
    await withData(async (other) => {
      await assert.rejects(startServer({ ...options(other), port }), { code: "EADDRINUSE" });
    });
    await server.close();
  }));

test("a sender that never ends is cut off after the time given", () =>
  withData(async (data) => {
    const server = await startServer({ ...options(data), closeTimeoutMs: 300 });
    const { hostname, port } = new URL(server.address);
    const client = new AttuneClient({ baseUrl: server.address });
    await client.createCollection("c", { modality: "vector", dimensions: 2 });
    const headers = { "content-type": "application/x-ndjson" };
    const request = http.request({ hostname, port, method: "POST", path: "/v1/collections/c/items", headers });
    const cut = new Promise((resolve) => request.on("error", resolve));
    request.write('{"id":"a","vector":[1,2]}\n');
    await delay(50);
    client.close();
    await server.close();
    await cut;
  }));

test("requests refused while closing are problems", async () => {
  const { createApp } = await import("../../src/http/app.js");
  const app = createApp({ logLevel: "silent" });
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  app.get("/", async () => "here");
  app.addHook("preClose", () => held);
  const address = await app.listen({ host: "127.0.0.1", port: 0 });
  const closing = app.close();
  await delay(20);
  const answer = await send(address, "GET", "/");
  assertProblem(answer, "shutting_down");
  assert.equal(answer.headers["retry-after"], "1");
  release();
  await closing;
});

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { HttpConnection, wireRequest } from "../../bench/support/http-connection.js";
import { runLoad } from "../../bench/support/load.js";
import type { Sample } from "../../bench/support/load-messages.js";
import { loadBetween } from "../../bench/support/load-result.js";
import { mean, percentile } from "../../bench/support/percentile.js";

describe("the load on a server", () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "attune-load-"));
  const bodies = path.join(folder, "bodies.ndjson");
  const seen: string[] = [];
  let lastType: string | undefined;
  let delayMs = 0;
  let status = 200;
  const server = http.createServer(async (request, response) => {
    let body = "";
    lastType = request.headers["content-type"];
    for await (const chunk of request) body += chunk;
    seen.push(body);
    await sleep(delayMs);
    // Larger than a socket gives at once, so that answers come in pieces.
    const answer = JSON.stringify("x".repeat(100_000));
    response.writeHead(status, { "content-type": "application/json", "content-length": answer.length }).end(answer);
  });
  let url = "";
  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    writeFileSync(bodies, '{"n":1}\n{"n":2}\n');
  });
  after(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });
  const task = { path: "/query", bodies, warmUpMs: 0 };

  it("at full speed counts answers and times them", async () => {
    delayMs = 20;
    const result = await runLoad(url, { ...task, clients: 4, durationMs: 400 });
    assert.ok(result.requests >= 8 && result.requests <= 84, `${result.requests} requests`);
    assert.ok(result.p50 >= 19 && result.p50 <= result.p99 && result.p99 <= result.max);
    assert.deepEqual([...new Set(seen)].sort(), ['{"n":1}', '{"n":2}']);
    assert.equal(result.failures, 0);
  });

  it("at a fixed rate asks on time, and counts the waiting for a free connection", async () => {
    delayMs = 5;
    const steady = await runLoad(url, { ...task, clients: 8, rate: 50, durationMs: 600 });
    assert.equal(steady.requests, 30);
    assert.ok(steady.p50 < 40, `${steady.p50} ms`);
    delayMs = 50;
    const late = await runLoad(url, { ...task, clients: 1, rate: 40, durationMs: 500 });
    // The twentieth is due after 475 ms and is sent after 19 answers of 50 ms.
    assert.ok(late.max > 400, `${late.max} ms`);
  });

  it("can send every line just once, and lines in Base64 as bodies of another type", async () => {
    delayMs = 0;
    seen.length = 0;
    const lines = Array.from({ length: 9 }, (_, i) => Buffer.from(`body ${i}`).toString("base64"));
    const binary = path.join(folder, "binary");
    writeFileSync(binary, `${lines.join("\n")}\n`);
    const once = { path: "/", bodies: binary, contentType: "application/octet-stream", once: true };
    const { requests } = await runLoad(url, { ...once, clients: 2, warmUpMs: 100, durationMs: 0 });
    assert.equal(requests, 9);
    assert.deepEqual(
      [...seen].sort(),
      Array.from({ length: 9 }, (_, i) => `body ${i}`),
    );
    assert.equal(lastType, "application/octet-stream");
  });

  it("ends when it is told to", async () => {
    delayMs = 1;
    const started = performance.now();
    const result = await runLoad(url, { ...task, clients: 2, rate: 50, durationMs: 60_000 }, sleep(500));
    assert.ok(performance.now() - started < 5_000);
    assert.ok(result.requests > 5);
  });

  it("tells each request when it is asked to, by the clock of the machine", async () => {
    delayMs = 20;
    const before = Date.now();
    const { requests, samples = [] } = await runLoad(url, {
      ...task,
      clients: 2,
      rate: 50,
      durationMs: 200,
      samples: true,
    });
    assert.equal(requests, 10);
    assert.equal(samples.length, 10);
    for (const { at, ms, failed } of samples) {
      assert.ok(at >= before - 5 && at + ms <= Date.now() + 5, `at ${at - before} ms for ${ms} ms`);
      assert.ok(ms >= 19 && !failed);
    }
    assert.equal((await runLoad(url, { ...task, clients: 2, rate: 50, durationMs: 40 })).samples, undefined);
  });

  it("counts answers other than 200 to 299 as failures", async () => {
    delayMs = 1;
    status = 503;
    const result = await runLoad(url, { ...task, clients: 2, durationMs: 100 });
    assert.equal(result.requests, 0);
    assert.ok(result.failures > 0);
  });

  it("tells when the connection breaks", async () => {
    const { hostname, port } = new URL(url);
    const connection = await HttpConnection.open(hostname, Number(port));
    delayMs = 10_000;
    const answer = connection.send(wireRequest(hostname, "/", Buffer.from("{}")));
    setTimeout(() => server.closeAllConnections(), 50);
    await assert.rejects(answer, /closed the connection|ECONNRESET/);
  });
});

describe("a part of a load", () => {
  it("is of the requests that were due in it", () => {
    const samples: Sample[] = [
      { at: 1000, ms: 900, failed: false },
      { at: 2999, ms: 7, failed: true },
      { at: 2000, ms: 3000, failed: false },
      { at: 2500, ms: 1, failed: false },
      { at: 3000, ms: 5, failed: false },
    ];
    const expected = { requests: 2, failures: 1, seconds: 1, qps: 2, p50: 1, p90: 3000, p99: 3000, max: 3000 };
    assert.deepEqual(loadBetween(samples, 2000, 3000), expected);
    assert.ok(Number.isNaN(loadBetween(samples, 4000, 5000).p99));
  });
});

describe("percentiles", () => {
  it("are by the nearest rank", () => {
    const hundred = Array.from({ length: 100 }, (_, i) => i + 1);
    assert.deepEqual(
      [0, 0.5, 0.99, 1].map((p) => percentile(hundred, p)),
      [1, 50, 99, 100],
    );
    assert.equal(percentile([7], 0.99), 7);
    assert.ok(Number.isNaN(percentile([], 0.5)));
    assert.equal(mean([1, 2, 6]), 3);
  });
});

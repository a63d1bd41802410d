import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import {
  AttuneApiError,
  AttuneClient,
  AttuneConnectionError,
  type ClientOptions,
  type Job,
} from "../../src/client/index.js";

type Handler = (request: http.IncomingMessage, response: http.ServerResponse, call: number) => void;

/** A server that misbehaves as told: what a real one does is tested in test/http. */
async function against(
  handler: Handler,
  work: (client: AttuneClient, calls: () => number) => Promise<void>,
  options: ClientOptions = {},
) {
  let calls = 0;
  const server = http.createServer((request, response) => handler(request, response, ++calls));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  const client = new AttuneClient({ baseUrl: `http://127.0.0.1:${port}`, ...options });
  try {
    await work(client, () => calls);
  } finally {
    client.close();
    server.closeAllConnections();
    server.close();
  }
}

function answer(response: http.ServerResponse, status: number, body: unknown, headers: http.OutgoingHttpHeaders = {}) {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}

const BUSY = { type: "x", title: "Busy", status: 503, detail: "not now", code: "shutting_down" };

test("a server may name a file that is downloaded, not the folder that it goes to", async () => {
  const named = [
    ["notes-2-encoder.onnx", "notes-2-encoder.onnx"],
    ["../../.bashrc", "model.onnx"],
    ["/etc/x.onnx", "model.onnx"],
    ["..\\x.onnx", "model.onnx"],
    [".hidden.onnx", "model.onnx"],
    ["package.json", "model.onnx"],
  ] as const;
  for (const [given, expected] of named) {
    await against(
      (_, response) => {
        response.writeHead(200, { "content-disposition": `attachment; filename="${given}"`, "content-length": 1 });
        response.end("x");
      },
      async (client) => {
        const { name, stream } = await client.collection("notes").downloadModel(2);
        assert.equal(name, expected);
        stream.resume();
      },
    );
  }
});

test("sends again after 503 with Retry-After, and only then", async () => {
  await against(
    (_, response, call) =>
      call < 3 ? answer(response, 503, BUSY, { "retry-after": "0" }) : answer(response, 200, { status: "ok" }),
    async (client, calls) => {
      assert.deepEqual(await client.health(), { status: "ok" });
      assert.equal(calls(), 3);
    },
  );
  await against(
    (_, response) => answer(response, 503, BUSY),
    async (client, calls) => {
      await assert.rejects(client.health(), { code: "shutting_down", status: 503 });
      assert.equal(calls(), 1, "without Retry-After it is not sent again");
    },
  );
  await against(
    (_, response) => answer(response, 500, { ...BUSY, status: 500, code: "internal" }, { "retry-after": "0" }),
    async (client, calls) => {
      await assert.rejects(client.health(), { code: "internal" });
      assert.equal(calls(), 1);
    },
  );
});

test("gives up after the retries it was given", async () => {
  await against(
    (_, response) => answer(response, 503, BUSY, { "retry-after": "0" }),
    async (client, calls) => {
      await assert.rejects(client.health(), AttuneApiError);
      assert.equal(calls(), 3, "once, and two retries");
    },
    { retries: 2 },
  );
});

test("an error has status, code, detail and places", async () => {
  const errors = [{ path: "/k", message: "expected an integer" }];
  await against(
    (_, response) => answer(response, 400, { ...BUSY, status: 400, code: "validation_failed", detail: "no", errors }),
    async (client) => {
      await assert.rejects(client.collection("c").query({ vector: [1] }), (error: AttuneApiError) => {
        assert.ok(error instanceof AttuneApiError);
        assert.deepEqual(
          [error.status, error.code, error.detail, error.errors],
          [400, "validation_failed", "no", errors],
        );
        return true;
      });
    },
  );
});

test("an answer that is not of this API is told as such", async () => {
  await against(
    (_, response) => response.writeHead(502, { "content-type": "text/html" }).end("<h1>Bad Gateway</h1>"),
    async (client) => {
      await assert.rejects(client.health(), { code: "unexpected_answer", status: 502, message: /Bad Gateway/ });
    },
  );
});

test("no server, no answer in time, and an answer that breaks off are connection errors", async () => {
  const nobody = new AttuneClient({ baseUrl: "http://127.0.0.1:1" });
  await assert.rejects(nobody.health(), (error: Error) => {
    assert.ok(error instanceof AttuneConnectionError);
    assert.match(error.message, /http:\/\/127\.0\.0\.1:1.*attune serve/);
    return true;
  });
  await against(
    () => {},
    async (client) => {
      await assert.rejects(client.health(), { name: "AttuneConnectionError", message: /within 50 ms/ });
      await assert.rejects(client.health({ timeoutMs: 20 }), { message: /within 20 ms/ });
    },
    { timeoutMs: 50 },
  );
  await against(
    (_, response) => {
      response.writeHead(200, { "content-length": "100" }).write('{"sta');
      setTimeout(() => response.destroy(), 20);
    },
    async (client) => {
      await assert.rejects(client.health(), AttuneConnectionError);
    },
  );
});

test("a signal gives a request up, before and during", async () => {
  await against(
    () => {},
    async (client, calls) => {
      await assert.rejects(client.health({ signal: AbortSignal.abort() }), { name: "AbortError" });
      assert.equal(calls(), 0);
      const controller = new AbortController();
      setTimeout(() => controller.abort(), 30);
      await assert.rejects(client.health({ signal: controller.signal }), { name: "AbortError" });
    },
  );
});

test("a kept connection that the server closed is opened anew", async () => {
  await against(
    (request, response, call) => {
      if (call === 2) {
        request.socket.destroy();
        return;
      }
      answer(response, 200, { status: "ok" });
    },
    async (client, calls) => {
      await client.health();
      await client.health();
      assert.equal(calls(), 3);
    },
  );
});

test("headers of the client go with every request, and a base path is kept", async () => {
  const seen: [string | undefined, string | undefined][] = [];
  await against(
    (request, response) => {
      seen.push([request.url, request.headers.authorization]);
      answer(response, 200, { items: [] });
    },
    async (client) => {
      await client.collection("a").getItem("x/y%z");
      await client.collection("a").getItem("..");
      await client.collection("a").listItems({ limit: 2, cursor: "a+b=" });
    },
    { headers: { authorization: "Bearer key" } },
  );
  assert.deepEqual(seen, [
    ["/v1/collections/a/items/x%2Fy%25z", "Bearer key"],
    ["/v1/collections/a/items/..", "Bearer key"],
    ["/v1/collections/a/items?limit=2&cursor=a%2Bb%3D", "Bearer key"],
  ]);
});

test("an id with a lone surrogate is refused before it is sent", async () => {
  const client = new AttuneClient({ baseUrl: "http://127.0.0.1:1" });
  await assert.rejects(async () => client.collection("c").getItem("\ud800"), { code: "invalid_id" });
});

const job = (status: Job["status"], done: number): Job => ({
  id: "7",
  kind: "fine-tune",
  status,
  progress: { done, total: 2, unit: "steps" },
  options: {},
  lossCurve: [],
  timings: {},
  createdAt: "2026-01-01T00:00:00.000Z",
});

async function watch(client: AttuneClient): Promise<[string, number][]> {
  const states: [string, number][] = [];
  for await (const { status, progress } of client.collection("c").watchFineTune("7"))
    states.push([status, progress.done]);
  return states;
}

test("watching follows events, however their bytes are cut", async () => {
  await against(
    async (_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      const text = [
        `event: job\ndata: ${JSON.stringify(job("running", 0))}\n\n`,
        ": heartbeat\n\n",
        `event: other\ndata: {}\n\n`,
        `event: job\ndata: ${JSON.stringify({ ...job("promoted", 2), reason: "é😀" })}\n\n`,
      ].join("");
      const bytes = Buffer.from(text);
      for (let at = 0; at < bytes.length; at += 37) {
        response.write(bytes.subarray(at, at + 37));
        await delay(1);
      }
      response.end();
    },
    async (client, calls) => {
      assert.deepEqual(await watch(client), [
        ["running", 0],
        ["promoted", 2],
      ]);
      assert.equal(calls(), 1);
    },
  );
});

test("watching goes on by asking when the stream breaks", async () => {
  await against(
    (request, response, call) => {
      if (request.url?.endsWith("/events")) {
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.write(`event: job\ndata: ${JSON.stringify(job("running", 0))}\n\n`);
        setTimeout(() => response.destroy(), 20);
        return;
      }
      answer(response, 200, call === 2 ? job("running", 1) : job("rejected", 2));
    },
    async (client) => {
      assert.deepEqual(await watch(client), [
        ["running", 0],
        ["running", 1],
        ["rejected", 2],
      ]);
    },
  );
});

test("watching what is not there is refused", async () => {
  await against(
    (_, response) => answer(response, 404, { ...BUSY, status: 404, code: "fine_tune_not_found" }),
    async (client) => {
      await assert.rejects(watch(client), { code: "fine_tune_not_found" });
    },
  );
});

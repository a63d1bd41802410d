import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import http from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Problem } from "../../schemas/index.js";
import { AttuneClient } from "../../src/client/index.js";
import { CATALOGUE, type ErrorCode } from "../../src/errors/index.js";
import { type RunningServer, type ServerOptions, startServer } from "../../src/http/index.js";

export interface Answer {
  status: number;
  headers: http.IncomingHttpHeaders;
  text: string;
  /** The body as JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  json: any;
}

export interface RequestOptions {
  body?: unknown;
  /** Sent as it is, instead of `body` as JSON. */
  raw?: string | Buffer;
  headers?: Record<string, string>;
}

/** A real server on a free port with a data directory of its own, and two ways to talk to it. */
export interface ServerUnderTest {
  address: string;
  data: string;
  client: AttuneClient;
  /** Sends exactly this path and body, as no client would. */
  send(method: string, path: string, options?: RequestOptions): Promise<Answer>;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export async function serve(options: Omit<ServerOptions, "data" | "port"> = {}): Promise<ServerUnderTest> {
  const data = await mkdtemp(path.join(tmpdir(), "attune-http-"));
  const start = () => startServer({ logLevel: "error", durability: "os", ...options, data, port: 0 });
  let server: RunningServer = await start();
  const connect = () => new AttuneClient({ baseUrl: server.address, retries: 0 });
  const test: ServerUnderTest = {
    address: server.address,
    data,
    client: connect(),
    send: (method, target, request) => send(server.address, method, target, request),
    restart: async () => {
      test.client.close();
      await server.close();
      server = await start();
      test.address = server.address;
      test.client = connect();
    },
    stop: async () => {
      test.client.close();
      await server.close();
      await rm(data, { recursive: true, force: true });
    },
  };
  return test;
}

export function send(
  address: string,
  method: string,
  target: string,
  { body, raw, headers = {} }: RequestOptions = {},
): Promise<Answer> {
  const { hostname, port } = new URL(address);
  const payload = raw ?? (body === undefined ? undefined : JSON.stringify(body));
  const length = "transfer-encoding" in headers ? {} : { "content-length": Buffer.byteLength(payload ?? "") };
  const type = payload === undefined ? {} : { "content-type": "application/json", ...length };
  return new Promise((resolve, reject) => {
    const options = { hostname, port, method, path: target, headers: { ...type, ...headers }, agent: false } as const;
    const request = http.request(options, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString("utf8");
        const isJson = /json/.test(response.headers["content-type"] ?? "");
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          json: isJson && text !== "" ? JSON.parse(text) : undefined,
        });
      });
    });
    request.on("error", reject);
    request.end(payload);
  });
}

/** Codes that some test of this process saw a server answer with. */
export const seen = new Set<string>();

/** Checks that the answer is the problem of this code, whole and well-formed. */
export function assertProblem(answer: Answer, code: ErrorCode): Problem {
  assert.equal(answer.json?.code, code, `expected ${code}, got ${answer.status} ${answer.text.slice(0, 300)}`);
  assert.equal(answer.status, CATALOGUE[code].status);
  assert.match(answer.headers["content-type"] ?? "", /^application\/problem\+json/);
  const problem = answer.json as Problem;
  assert.equal(problem.status, CATALOGUE[code].status);
  assert.equal(problem.title, CATALOGUE[code].title);
  assert.equal(problem.type, `/docs/errors.md#${code}`);
  assert.ok(problem.detail.length > 10, "the detail says something");
  assert.doesNotMatch(answer.text, /node_modules|\.js:\d+|\\n +at /, "no stack trace leaves the server");
  seen.add(code);
  return problem;
}

/** Base64 of little-endian float32, made by hand. */
export function base64(numbers: readonly number[]): string {
  const bytes = Buffer.alloc(numbers.length * 4);
  for (const [i, x] of numbers.entries()) bytes.writeFloatLE(x, i * 4);
  return bytes.toString("base64");
}

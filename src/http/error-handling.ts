import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Problem } from "../../schemas/index.js";
import { AttuneError } from "../errors/index.js";
import { PROBLEM_JSON, problemOf, RETRY_AFTER_SECONDS, toProblem } from "./problem.js";

/** Answers with a problem; faults of the server itself are logged with their stack, which never leaves it. */
export function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const problem = toProblem(error);
  if (problem.status === 500)
    request.log.error({ err: error, method: request.method, url: request.url }, "request failed");
  else request.log.debug({ code: problem.code, method: request.method, url: request.url }, problem.detail);
  if (problem.status === 503) reply.header("retry-after", RETRY_AFTER_SECONDS);
  reply.code(problem.status).type(PROBLEM_JSON).send(JSON.stringify(problem));
}

/** Makes every error of the app a problem, an unknown route among them. */
export function handleErrors(app: FastifyInstance): void {
  app.setErrorHandler(sendProblem);
  app.setNotFoundHandler((request, reply) => {
    const message = `There is no route ${request.method} ${request.url.slice(0, 200)}; GET /openapi.json lists them all. A slash or percent sign in a name or id must be percent-encoded.`;
    sendProblem(new AttuneError("route_not_found", message), request, reply);
  });
}

/** What a connection is told whose bytes are not HTTP, or never end. */
export function problemOfClientError(error: Error & { code?: string }): Problem {
  if (error.code === "HPE_HEADER_OVERFLOW") {
    return problemOf("headers_too_large", "The address and headers together are larger than 16 KiB.");
  }
  if (error.code === "ERR_HTTP_REQUEST_TIMEOUT") {
    return problemOf("request_timeout", "The request's headers did not arrive in time; send it again.");
  }
  return problemOf("malformed_request", "The bytes received are not a request of HTTP/1.1.");
}

/** Answers a connection that never became a request, then closes it. */
export function answerClientError(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || socket.destroyed) return;
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const problem = problemOfClientError(error);
  const body = JSON.stringify(problem);
  const head = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? "Error"}`,
    `content-type: ${PROBLEM_JSON}`,
    `content-length: ${Buffer.byteLength(body)}`,
    "connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
}

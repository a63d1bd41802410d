import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { parseJson } from "./json.js";

/**
 * Makes `application/json` the one media type of bodies. An empty body is no body, whatever its media type, as clients
 * send with DELETE.
 */
export function readJsonBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "buffer" }, (_request, bytes, done) => {
    try {
      done(null, parseJson(bytes as Buffer));
    } catch (error) {
      done(error as Error);
    }
  });
}

/** A `preValidation` hook for routes whose body may be left out: none is the same as `{}`. */
export function optionalBody(request: FastifyRequest, _reply: FastifyReply, done: () => void): void {
  request.body ??= {};
  done();
}

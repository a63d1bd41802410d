import type { IncomingMessage } from "node:http";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { slices } from "../collection/index.js";
import { AttuneError } from "../errors/index.js";
import { parseJson } from "./json.js";
import {
  JsonVectorReader,
  type JsonWithVectors,
  type Placement,
  parseJsonInTurns,
  parseJsonWithVectors,
  placeVectors,
} from "./json-vectors.js";
import { receiveBody } from "./receive-body.js";
import { VectorBlocks } from "./vector-blocks.js";

declare module "fastify" {
  interface FastifyRequest {
    /** Vectors of the body that were read apart from the JSON, where a route does so. */
    placements: Placement[] | undefined;
  }
}

/** Queries with more bytes than this, which takes about a millisecond, are read in turns with other requests. */
const LARGE_BYTES = 256 * 1024;

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

/**
 * Reads vectors in JSON straight into float32 on the routes of `app`. The schema sees a string in the place of each; the
 * handler finds a Float32Array.
 */
export function readJsonVectors(app: FastifyInstance): void {
  placeVectorsLate(app);
  app.removeContentTypeParser("application/json");
  app.addContentTypeParser("application/json", { parseAs: "buffer" }, (request, body, done) => {
    const bytes = body as Buffer;
    const take = ({ value, placements }: JsonWithVectors) => {
      request.placements = placements;
      done(null, value);
    };
    if (bytes.length > LARGE_BYTES) {
      void parseJsonInTurns(bytes).then(take, done);
      return;
    }
    try {
      take(parseJsonWithVectors(bytes));
    } catch (error) {
      done(error as Error);
    }
  });
}

/**
 * The same for bodies of many vectors, which are read while they arrive: of a large insert little is left to do at its end.
 * Strings of Base64 are taken out as well. On routes that free the memory of vectors with the answer (`freeVectorBlocks`).
 */
export function readJsonVectorsAsTheyArrive(app: FastifyInstance): void {
  placeVectorsLate(app);
  app.removeContentTypeParser("application/json");
  app.addContentTypeParser("application/json", async (request: FastifyRequest, stream: IncomingMessage) => {
    const limit = request.routeOptions.bodyLimit;
    const blocks = new VectorBlocks(true);
    request.vectorBlocks = blocks;
    const { value, placements } = await receiveBody(stream, limit, new JsonVectorReader(true, blocks));
    request.placements = placements;
    // What follows, from the schema on, is a step by itself.
    while (slices.over) await slices.next();
    return value;
  });
}

function placeVectorsLate(app: FastifyInstance): void {
  app.decorateRequest("placements", undefined);
  app.addHook("preHandler", (request, _reply, done) => {
    if (request.placements !== undefined) placeVectors(request.placements);
    done();
  });
}

/**
 * A `preValidation` hook for routes that take bodies of several media types: the validator knows a body by its media type, so it
 * passes over one that is not there.
 */
export function requireBody({ body }: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void): void {
  done(body === undefined ? new AttuneError("validation_failed", "The body is missing; send one.") : undefined);
}

/** A `preValidation` hook for routes whose body may be left out: none is the same as `{}`. */
export function optionalBody(request: FastifyRequest, _reply: FastifyReply, done: () => void): void {
  request.body ??= {};
  done();
}

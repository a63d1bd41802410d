import type { Readable } from "node:stream";
import type { FastifyRequest } from "fastify";
import { Type } from "typebox";
import { CollectionParams, ItemInput, StreamResult, UpsertItems, UpsertResult } from "../../../schemas/index.js";
import { AttuneError } from "../../errors/index.js";
import { readJsonVectors } from "../json-body.js";
import { type ItemCheck, readItemLines } from "../ndjson.js";
import { validationProblem } from "../problem.js";
import { BODY_ERRORS, responses } from "../responses.js";
import type { RoutePlugin } from "./plugin.js";

const NDJSON = "application/x-ndjson";

const Body = {
  content: {
    "application/json": { schema: UpsertItems },
    // The body reaches the handler as a stream, each line of which is checked there.
    [NDJSON]: { schema: Type.Unsafe<Readable>({ description: "One item a line, of any length in all." }) },
  },
};

const DESCRIPTION = `As application/json the batch is stored whole or not at all. As ${NDJSON}, one item a line, of any number, \
good lines are stored and bad ones reported. The answer follows the write to disk; from then on queries find the items.`;

/** `POST items` alone: only here is newline-delimited JSON a media type. */
export const itemImportRoutes: RoutePlugin = async (app, { database }) => {
  readJsonVectors(app);
  app.addContentTypeParser(NDJSON, (_request, stream, done) => done(null, stream));

  app.post(
    "/collections/:collection/items",
    {
      // The validator knows bodies by their media type, so it passes over one that is not there.
      preValidation: async ({ body }) => {
        if (body === undefined) throw new AttuneError("validation_failed", "The body is missing; send items.");
      },
      schema: {
        tags: ["items"],
        summary: "Insert or replace items",
        description: DESCRIPTION,
        params: CollectionParams,
        body: Body,
        response: responses(
          { 200: Type.Union([UpsertResult, StreamResult]) },
          BODY_ERRORS,
          ["collection_not_found", "batch_too_large", "payload_too_large"],
          ["invalid_id", "duplicate_id", "wrong_modality", "empty_text", "invalid_text"],
          ["invalid_image", "image_too_large"],
          ["wrong_dimensions", "not_finite", "zero_vector", "invalid_vector"],
        ),
      },
    },
    (request) => {
      const collection = database().collection(request.params.collection);
      if (request.mediaType !== NDJSON) return collection.upsert((request.body as UpsertItems).items);
      const lines = readItemLines(request.body as Readable, itemCheck(request), database().limits.bodyBytes);
      return collection.upsertLines(lines);
    },
  );
};

/** Checks a line by the same compiled schema as the items of a batch. */
function itemCheck(request: FastifyRequest): ItemCheck {
  const validate = request.getValidationFunction(ItemInput) ?? request.compileValidationSchema(ItemInput);
  return (value) => {
    if (validate(value)) return value as ItemInput;
    const { detail, errors } = validationProblem(validate.errors ?? [], "line");
    throw new AttuneError("validation_failed", detail, { details: errors });
  };
}

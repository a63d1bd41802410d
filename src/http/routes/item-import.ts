import type { Readable } from "node:stream";
import type { FastifyRequest } from "fastify";
import { Type } from "typebox";
import {
  BinaryItemsHeader,
  CollectionParams,
  ItemInput,
  StreamResult,
  UpsertItems,
  UpsertResult,
} from "../../../schemas/index.js";
import type { GivenItem } from "../../collection/index.js";
import { AttuneError } from "../../errors/index.js";
import {
  type BinaryBody,
  BinaryBodySchema,
  checkedHeader,
  OCTET_STREAM,
  readLargeBinaryBodies,
} from "../binary-body.js";
import { readJsonVectorsAsTheyArrive, requireBody } from "../json-body.js";
import { type ItemCheck, readItemLines } from "../ndjson.js";
import { validationProblem } from "../problem.js";
import { BODY_ERRORS, responses } from "../responses.js";
import { freeVectorBlocks } from "../vector-blocks.js";
import type { RoutePlugin } from "./plugin.js";

const NDJSON = "application/x-ndjson";

const Body = {
  content: {
    "application/json": { schema: UpsertItems },
    // The body reaches the handler as a stream, each line of which is checked there.
    [OCTET_STREAM]: { schema: BinaryBodySchema },
    [NDJSON]: { schema: Type.Unsafe<Readable>({ description: "One item a line, of any length in all." }) },
  },
};

const DESCRIPTION = `As application/json the batch is stored whole or not at all. As ${NDJSON}, one item a line, of any number, \
good lines are stored and bad ones reported. As ${OCTET_STREAM}, vectors as float32 after a JSON header with ids and payloads. The answer follows the write to disk; from then on queries find the items.`;

/** `POST items` alone: only here is newline-delimited JSON a media type. */
export const itemImportRoutes: RoutePlugin = async (app, { database }) => {
  freeVectorBlocks(app);
  readJsonVectorsAsTheyArrive(app);
  readLargeBinaryBodies(app);
  app.addContentTypeParser(NDJSON, (_request, stream, done) => done(null, stream));

  app.post(
    "/collections/:collection/items",
    {
      preValidation: requireBody,
      schema: {
        tags: ["items"],
        summary: "Insert or replace items",
        description: DESCRIPTION,
        params: CollectionParams,
        body: Body,
        response: responses(
          { 200: Type.Union([UpsertResult, StreamResult]) },
          [...BODY_ERRORS, "malformed_binary"],
          ["collection_not_found", "batch_too_large", "payload_too_large"],
          ["invalid_id", "duplicate_id", "wrong_modality", "empty_text", "invalid_text"],
          ["invalid_image", "image_too_large"],
          ["wrong_dimensions", "not_finite", "zero_vector", "invalid_vector"],
        ),
      },
    },
    (request) => {
      const collection = database().collection(request.params.collection);
      if (request.mediaType === OCTET_STREAM) return collection.upsert(binaryItems(request));
      if (request.mediaType !== NDJSON) return collection.upsert((request.body as UpsertItems).items);
      const lines = readItemLines(request.body as Readable, itemCheck(request), database().limits.bodyBytes);
      return collection.upsertLines(lines);
    },
  );
};

/** @throws validation_failed */
function binaryItems(request: FastifyRequest): GivenItem[] {
  const { ids, payloads } = checkedHeader(request, BinaryItemsHeader);
  const { vectors } = request.body as BinaryBody;
  for (const [name, list] of Object.entries({ ids, payloads })) {
    if (list === undefined || list.length === vectors.length) continue;
    const message = `The header has ${list.length} ${name} for ${vectors.length} vectors; send one for each.`;
    throw new AttuneError("validation_failed", message, { details: [{ path: `/${name}`, message }] });
  }
  return vectors.map((vector, i) => {
    const payload = payloads?.[i] ?? undefined;
    return { id: ids[i] as string, vector, ...(payload === undefined ? {} : { payload }) };
  });
}

/** Checks a line by the same compiled schema as the items of a batch. */
function itemCheck(request: FastifyRequest): ItemCheck {
  const validate = request.getValidationFunction(ItemInput) ?? request.compileValidationSchema(ItemInput);
  return (value) => {
    if (validate(value)) return value as ItemInput;
    const { detail, errors } = validationProblem(validate.errors ?? [], "line");
    throw new AttuneError("validation_failed", detail, { details: errors });
  };
}

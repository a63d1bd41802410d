import type { FastifyRequest } from "fastify";
import {
  BinaryQueryHeader,
  CollectionParams,
  Query,
  QueryBatch,
  QueryBatchResult,
  QueryResult,
} from "../../../schemas/index.js";
import type { GivenQuery } from "../../collection/index.js";
import { AttuneError, type ErrorCode } from "../../errors/index.js";
import { type BinaryBody, BinaryBodySchema, checkedHeader, OCTET_STREAM, readBinaryBodies } from "../binary-body.js";
import { readJsonVectors, requireBody } from "../json-body.js";
import { BODY_ERRORS, responses } from "../responses.js";
import type { RoutePlugin } from "./plugin.js";

const tags = ["query"];

const QUERY_ERRORS: readonly ErrorCode[] = [
  "malformed_binary",
  "collection_not_found",
  "batch_too_large",
  "invalid_setting",
  "wrong_modality",
  "no_encoder",
  "empty_text",
  "invalid_text",
  "invalid_image",
  "image_too_large",
  "wrong_dimensions",
  "not_finite",
  "zero_vector",
  "invalid_vector",
  "item_not_found",
  "k_too_large",
  "filter_too_deep",
];

export const queryRoutes: RoutePlugin = async (app, { database }) => {
  readJsonVectors(app);
  readBinaryBodies(app);

  app.post(
    "/collections/:collection/query",
    {
      preValidation: requireBody,
      schema: {
        tags,
        summary: "Find the nearest items",
        description: "One of `text`, `image`, `vector` and `itemId`. Nearest first; items equally near by id.",
        params: CollectionParams,
        body: { content: { "application/json": { schema: Query }, [OCTET_STREAM]: { schema: BinaryBodySchema } } },
        response: responses({ 200: QueryResult }, BODY_ERRORS, QUERY_ERRORS),
      },
    },
    (request) => database().collection(request.params.collection).query(readQuery(request)),
  );

  app.post(
    "/collections/:collection/query/batch",
    {
      preValidation: requireBody,
      schema: {
        tags,
        summary: "Run several queries in one generation",
        params: CollectionParams,
        body: { content: { "application/json": { schema: QueryBatch }, [OCTET_STREAM]: { schema: BinaryBodySchema } } },
        response: responses({ 200: QueryBatchResult }, BODY_ERRORS, QUERY_ERRORS),
      },
    },
    (request) => database().collection(request.params.collection).queryBatch(readQueries(request)),
  );
};

function readQuery(request: FastifyRequest): GivenQuery {
  if (request.mediaType !== OCTET_STREAM) return request.body as Query;
  const [query, ...more] = binaryQueries(request);
  if (query !== undefined && more.length === 0) return query;
  throw new AttuneError(
    "validation_failed",
    `The body has ${more.length + 1} vectors; a query has one, and query/batch takes several.`,
  );
}

function readQueries(request: FastifyRequest): GivenQuery[] {
  return request.mediaType === OCTET_STREAM ? binaryQueries(request) : (request.body as QueryBatch).queries;
}

/** @throws validation_failed */
function binaryQueries(request: FastifyRequest): GivenQuery[] {
  const header = checkedHeader(request, BinaryQueryHeader);
  return (request.body as BinaryBody).vectors.map((vector) => ({ ...header, vector }));
}

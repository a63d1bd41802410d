import { CollectionParams, Query, QueryBatch, QueryBatchResult, QueryResult } from "../../../schemas/index.js";
import type { ErrorCode } from "../../errors/index.js";
import { readJsonVectors } from "../json-body.js";
import { BODY_ERRORS, responses } from "../responses.js";
import type { RoutePlugin } from "./plugin.js";

const tags = ["query"];

const QUERY_ERRORS: readonly ErrorCode[] = [
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

  app.post(
    "/collections/:collection/query",
    {
      schema: {
        tags,
        summary: "Find the nearest items",
        description: "One of `text`, `image`, `vector` and `itemId`. Nearest first; items equally near by id.",
        params: CollectionParams,
        body: Query,
        response: responses({ 200: QueryResult }, BODY_ERRORS, QUERY_ERRORS),
      },
    },
    (request) => database().collection(request.params.collection).query(request.body),
  );

  app.post(
    "/collections/:collection/query/batch",
    {
      schema: {
        tags,
        summary: "Run several queries in one generation",
        params: CollectionParams,
        body: QueryBatch,
        response: responses({ 200: QueryBatchResult }, BODY_ERRORS, QUERY_ERRORS),
      },
    },
    (request) => database().collection(request.params.collection).queryBatch(request.body.queries),
  );
};

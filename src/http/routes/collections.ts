import {
  CollectionInfo,
  CollectionList,
  CollectionParams,
  CreateCollection,
  PageQuery,
  PatchCollection,
} from "../../../schemas/index.js";
import { BODY_ERRORS, NoContent, responses } from "../responses.js";
import type { RoutePlugin } from "./plugin.js";

const tags = ["collections"];

export const collectionRoutes: RoutePlugin = async (app, { database }) => {
  app.put(
    "/collections/:collection",
    {
      schema: {
        tags,
        summary: "Create a collection",
        description:
          "Asking again with the same settings finds the collection that exists, whatever was patched since.",
        params: CollectionParams,
        body: CreateCollection,
        response: responses(
          { 201: CollectionInfo, 200: CollectionInfo },
          BODY_ERRORS,
          ["collection_exists", "invalid_setting", "too_many_dimensions"],
          ["unknown_encoder", "invalid_encoder", "provider_unavailable"],
        ),
      },
    },
    async (request, reply) => {
      const { created, info } = await database().createCollection(request.params.collection, request.body);
      if (created) reply.header("location", `/v1/collections/${info.name}`);
      return reply.code(created ? 201 : 200).send(info);
    },
  );

  app.get(
    "/collections",
    {
      schema: {
        tags,
        summary: "List collections",
        querystring: PageQuery,
        response: responses({ 200: CollectionList }, "validation_failed", "invalid_cursor"),
      },
    },
    (request) => database().listCollections(request.query),
  );

  app.get(
    "/collections/:collection",
    {
      schema: {
        tags,
        summary: "Settings and status of a collection",
        params: CollectionParams,
        response: responses({ 200: CollectionInfo }, "collection_not_found"),
      },
    },
    (request) => database().collection(request.params.collection).info(),
  );

  app.patch(
    "/collections/:collection",
    {
      schema: {
        tags,
        summary: "Change settings that can change",
        params: CollectionParams,
        body: PatchCollection,
        response: responses({ 200: CollectionInfo }, BODY_ERRORS, "collection_not_found", "invalid_setting"),
      },
    },
    (request) => database().collection(request.params.collection).patch(request.body),
  );

  app.delete(
    "/collections/:collection",
    {
      schema: {
        tags,
        summary: "Delete a collection and everything in it",
        params: CollectionParams,
        response: responses({ 204: NoContent }, "collection_not_found"),
      },
    },
    async (request, reply) => {
      await database().deleteCollection(request.params.collection);
      return reply.code(204).send(null);
    },
  );
};

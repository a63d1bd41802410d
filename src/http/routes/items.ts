import {
  CollectionParams,
  CountItems,
  CountResult,
  DeleteItems,
  DeleteResult,
  GetItems,
  Item,
  ItemList,
  ItemParams,
  ItemsResult,
  ListItemsQuery,
  PatchItem,
  ScrollItems,
  WithVectorQuery,
} from "../../../schemas/index.js";
import { optionalBody } from "../json-body.js";
import { BODY_ERRORS, NoContent, responses } from "../responses.js";
import type { RoutePlugin } from "./plugin.js";

const tags = ["items"];

export const itemRoutes: RoutePlugin = async (app, { database }) => {
  app.get(
    "/collections/:collection/items",
    {
      schema: {
        tags,
        summary: "List items, by id",
        params: CollectionParams,
        querystring: ListItemsQuery,
        response: responses({ 200: ItemList }, "validation_failed", "invalid_cursor", "collection_not_found"),
      },
    },
    (request) => database().collection(request.params.collection).listItems(request.query),
  );

  app.get(
    "/collections/:collection/items/:id",
    {
      schema: {
        tags,
        summary: "Get an item",
        params: ItemParams,
        querystring: WithVectorQuery,
        response: responses({ 200: Item }, ["validation_failed", "collection_not_found", "item_not_found"]),
      },
    },
    (request) => database().collection(request.params.collection).getItem(request.params.id, request.query),
  );

  app.patch(
    "/collections/:collection/items/:id",
    {
      schema: {
        tags,
        summary: "Merge fields into an item's payload",
        description: "Fields given replace those of the same name; the others stay. The item is not embedded again.",
        params: ItemParams,
        body: PatchItem,
        response: responses({ 200: Item }, BODY_ERRORS, [
          "collection_not_found",
          "item_not_found",

          "payload_too_large",
        ]),
      },
    },
    (request) => database().collection(request.params.collection).patchItem(request.params.id, request.body.payload),
  );

  app.delete(
    "/collections/:collection/items/:id",
    {
      schema: {
        tags,
        summary: "Delete an item",
        params: ItemParams,
        response: responses({ 204: NoContent }, "collection_not_found", "item_not_found"),
      },
    },
    async (request, reply) => {
      await database().collection(request.params.collection).deleteItem(request.params.id);
      return reply.code(204).send(null);
    },
  );

  app.post(
    "/collections/:collection/items/get",
    {
      schema: {
        tags,
        summary: "Get several items; ids that are not there are left out",
        params: CollectionParams,
        body: GetItems,
        response: responses({ 200: ItemsResult }, BODY_ERRORS, "collection_not_found", "batch_too_large"),
      },
    },
    async (request) => {
      const { ids, withVector } = request.body;
      return { items: await database().collection(request.params.collection).getItems(ids, { withVector }) };
    },
  );

  app.post(
    "/collections/:collection/items/scroll",
    {
      preValidation: optionalBody,
      schema: {
        tags,
        summary: "List the items that a filter selects, by id",
        params: CollectionParams,
        body: ScrollItems,
        response: responses({ 200: ItemList }, BODY_ERRORS, [
          "invalid_cursor",
          "collection_not_found",
          "filter_too_deep",
        ]),
      },
    },
    (request) => database().collection(request.params.collection).scroll(request.body),
  );

  app.post(
    "/collections/:collection/items/count",
    {
      preValidation: optionalBody,
      schema: {
        tags,
        summary: "Count the items that a filter selects",
        params: CollectionParams,
        body: CountItems,
        response: responses({ 200: CountResult }, BODY_ERRORS, "collection_not_found", "filter_too_deep"),
      },
    },
    async (request) => ({ count: await database().collection(request.params.collection).count(request.body.filter) }),
  );

  app.post(
    "/collections/:collection/items/delete",
    {
      schema: {
        tags,
        summary: "Delete items by id or by filter",
        params: CollectionParams,
        body: DeleteItems,
        response: responses({ 200: DeleteResult }, BODY_ERRORS, [
          "collection_not_found",
          "batch_too_large",
          "filter_too_deep",
        ]),
      },
    },
    async (request) => ({ deleted: await database().collection(request.params.collection).deleteItems(request.body) }),
  );
};

import type { FastifyReply } from "fastify";
import { Type } from "typebox";
import { ContentParams, ImageBytes, ItemParams } from "../../../schemas/index.js";
import type { ImageFile } from "../../collection/index.js";
import { entityTag, knownTo } from "../entity-tags.js";
import { responses } from "../responses.js";
import type { RoutePlugin } from "./plugin.js";

const tags = ["items"];
const NotModified = Type.Null({ description: "What If-None-Match names is still the image; there is no body." });

/** Another image may be put under the same id: whoever has one asks whether it still holds. */
const ASK_AGAIN = "private, no-cache";
/** What a hash names never changes. */
const FOR_EVER = "private, max-age=31536000, immutable";

/** Images as files. */
export const imageRoutes: RoutePlugin = async (app, { database }) => {
  app.get(
    "/collections/:collection/items/:id/image",
    {
      schema: {
        tags,
        summary: "Get the image of an item",
        params: ItemParams,
        response: responses({ 200: ImageBytes, 304: NotModified }, [
          "collection_not_found",
          "item_not_found",
          "content_not_found",
        ]),
      },
    },
    async (request, reply) => {
      const { collection, id } = request.params;
      return answer(reply, await database().collection(collection).itemImage(id, knownTo(request)), ASK_AGAIN);
    },
  );

  app.get(
    "/collections/:collection/content/:hash",
    {
      schema: {
        tags,
        summary: "Get an image of an item or of feedback by its SHA-256",
        params: ContentParams,
        response: responses({ 200: ImageBytes, 304: NotModified }, [
          "validation_failed",
          "collection_not_found",
          "content_not_found",
        ]),
      },
    },
    async (request, reply) => {
      const { collection, hash } = request.params;
      return answer(reply, await database().collection(collection).content(hash, knownTo(request)), FOR_EVER);
    },
  );
};

function answer(reply: FastifyReply, { hash, file }: ImageFile, cacheControl: string): FastifyReply {
  reply
    .header("etag", entityTag(hash))
    .header("cache-control", cacheControl)
    .header("x-content-type-options", "nosniff");
  return file === undefined ? reply.code(304).send() : reply.type(file.type).send(file.bytes);
}

import { createReadStream } from "node:fs";
import type { Readable } from "node:stream";
import { Type } from "typebox";
import { CollectionParams, EmptyBody, GenerationList, GenerationParams, JobStarted } from "../../../schemas/index.js";
import { entityTag, knownTo } from "../entity-tags.js";
import { optionalBody } from "../json-body.js";
import { BODY_ERRORS, responses } from "../responses.js";
import type { RoutePlugin } from "./plugin.js";

const tags = ["generations"];
const NotModified = Type.Null({ description: "What If-None-Match names is still the model; there is no body." });
const ModelFile = {
  description: "An ONNX file.",
  content: { "application/octet-stream": { schema: Type.Unsafe<Readable>({ type: "string", format: "binary" }) } },
};

export const generationRoutes: RoutePlugin = async (app, { database }) => {
  app.get(
    "/collections/:collection/generations",
    {
      schema: {
        tags,
        summary: "List the generations that are kept",
        params: CollectionParams,
        response: responses({ 200: GenerationList }, "collection_not_found"),
      },
    },
    (request) => database().collection(request.params.collection).generations(),
  );

  app.get(
    "/collections/:collection/generations/:generation/model",
    {
      schema: {
        tags,
        summary: "Download the model of a generation",
        description:
          "The tuned encoder, with the inputs and outputs of the collection's own, or the head (`base` in, `vector` out, both n x dimensions): an ONNX file for anything that reads ONNX.",
        params: GenerationParams,
        response: responses({ 200: ModelFile, 304: NotModified }, [
          "collection_not_found",
          "generation_not_found",
          "model_not_found",
        ]),
      },
    },
    async (request, reply) => {
      const { collection, generation } = request.params;
      const { path, bytes, name, checksum } = await database().collection(collection).model(generation);
      if (checksum !== undefined) {
        reply.header("etag", entityTag(checksum));
        if (knownTo(request)(checksum)) return reply.code(304).send(null);
      }
      reply.header("content-length", bytes).header("content-disposition", `attachment; filename="${name}"`);
      return reply.type("application/octet-stream").send(createReadStream(path));
    },
  );

  app.post(
    "/collections/:collection/generations/:generation/activate",
    {
      preValidation: optionalBody,
      schema: {
        tags,
        summary: "Make a generation the active one",
        description: "A rollback, or a generation that was trained and kept going live. Writes made since are kept.",
        params: GenerationParams,
        body: EmptyBody,
        response: responses({ 202: JobStarted }, BODY_ERRORS, [
          "collection_not_found",
          "generation_not_found",
          "job_running",
        ]),
      },
    },
    async (request, reply) => {
      const { collection, generation } = request.params;
      const started = await database().collection(collection).activate(generation);
      return reply.code(202).header("location", `/v1/collections/${collection}/fine-tunes/${started.id}`).send(started);
    },
  );
};

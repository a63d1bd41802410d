import { CollectionParams, EmptyBody, GenerationList, GenerationParams, JobStarted } from "../../../schemas/index.js";
import { optionalBody } from "../json-body.js";
import { BODY_ERRORS, responses } from "../responses.js";
import type { RoutePlugin } from "./plugin.js";

const tags = ["generations"];

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

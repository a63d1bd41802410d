import type { Readable } from "node:stream";
import { Type } from "typebox";
import {
  CollectionParams,
  EmptyBody,
  FineTuneOptions,
  Job,
  JobList,
  JobParams,
  JobStarted,
  PageQuery,
} from "../../../schemas/index.js";
import { JobEventStream } from "../job-event-stream.js";
import { optionalBody } from "../json-body.js";
import { BODY_ERRORS, responses } from "../responses.js";
import type { RoutePlugin } from "./plugin.js";

const tags = ["fine-tunes"];

export const fineTuneRoutes: RoutePlugin = async (app, { database }) => {
  const open = new Set<JobEventStream>();
  app.addHook("preClose", async () => {
    for (const stream of open) stream.end();
  });

  app.post(
    "/collections/:collection/fine-tunes",
    {
      preValidation: optionalBody,
      schema: {
        tags,
        summary: "Start a fine-tune",
        description: "Every option has a default that works; an empty body asks for them all.",
        params: CollectionParams,
        body: FineTuneOptions,
        response: responses({ 202: JobStarted }, BODY_ERRORS, [
          "collection_not_found",
          "job_running",
          "not_enough_feedback",
          "no_encoder",
          "invalid_setting",
        ]),
      },
    },
    async (request, reply) => {
      const { collection } = request.params;
      const started = await database().collection(collection).startFineTune(request.body);
      return reply.code(202).header("location", `/v1/collections/${collection}/fine-tunes/${started.id}`).send(started);
    },
  );

  app.get(
    "/collections/:collection/fine-tunes",
    {
      schema: {
        tags,
        summary: "List jobs, activations among them",
        params: CollectionParams,
        querystring: PageQuery,
        response: responses({ 200: JobList }, "validation_failed", "invalid_cursor", "collection_not_found"),
      },
    },
    (request) => database().collection(request.params.collection).listJobs(request.query),
  );

  app.get(
    "/collections/:collection/fine-tunes/:id",
    {
      schema: {
        tags,
        summary: "State of a job",
        params: JobParams,
        response: responses({ 200: Job }, "collection_not_found", "fine_tune_not_found"),
      },
    },
    async (request) => database().collection(request.params.collection).job(request.params.id),
  );

  app.get(
    "/collections/:collection/fine-tunes/:id/events",
    {
      schema: {
        tags,
        summary: "Follow a job as server-sent events",
        description:
          "Events named `job`, whose data is the job as `GET` answers it: one at once, one at each change; the stream ends when the job has.",
        params: JobParams,
        response: responses(
          {
            200: {
              description: "Events.",
              content: { "text/event-stream": { schema: Type.Unsafe<Readable>({ type: "string" }) } },
            },
          },
          "collection_not_found",
          "fine_tune_not_found",
        ),
      },
    },
    async (request, reply) => {
      const collection = database().collection(request.params.collection);
      const { id } = collection.job(request.params.id);
      const stream = new JobEventStream((listener) => collection.watchJob(id, listener));
      open.add(stream);
      stream.once("close", () => open.delete(stream));
      return reply.type("text/event-stream").header("cache-control", "no-store").send(stream);
    },
  );

  app.post(
    "/collections/:collection/fine-tunes/:id/resume",
    {
      preValidation: optionalBody,
      schema: {
        tags,
        summary: "Go on with a fine-tune that was cut off",
        description:
          "A fine-tune of an encoder that a stop or a crash of the server cut off goes on from its last checkpoint, with the feedback it began with.",
        params: JobParams,
        body: EmptyBody,
        response: responses({ 202: JobStarted }, BODY_ERRORS, [
          "collection_not_found",
          "fine_tune_not_found",
          "job_running",
          "job_not_resumable",
        ]),
      },
    },
    async (request, reply) => {
      const { collection, id } = request.params;
      const resumed = await database().collection(collection).resumeFineTune(id);
      return reply.code(202).header("location", `/v1/collections/${collection}/fine-tunes/${id}`).send(resumed);
    },
  );

  app.post(
    "/collections/:collection/fine-tunes/:id/cancel",
    {
      preValidation: optionalBody,
      schema: {
        tags,
        summary: "Cancel a job",
        description: "One that was cut off and could be resumed is given up.",
        params: JobParams,
        body: EmptyBody,
        response: responses({ 200: Job }, BODY_ERRORS, ["collection_not_found", "fine_tune_not_found", "job_finished"]),
      },
    },
    (request) => database().collection(request.params.collection).cancelJob(request.params.id),
  );
};

import {
  CollectionParams,
  FeedbackList,
  FeedbackParams,
  FeedbackResult,
  PageQuery,
  SubmitFeedback,
} from "../../../schemas/index.js";
import { BODY_ERRORS, NoContent, responses } from "../responses.js";
import type { RoutePlugin } from "./plugin.js";

const tags = ["feedback"];

export const feedbackRoutes: RoutePlugin = async (app, { database }) => {
  app.post(
    "/collections/:collection/feedback",
    {
      schema: {
        tags,
        summary: "Say what is similar and what is not",
        description:
          "All of it is kept, or none. A pair said again with the other label replaces what was said before.",
        params: CollectionParams,
        body: SubmitFeedback,
        response: responses(
          { 200: FeedbackResult },
          BODY_ERRORS,
          ["collection_not_found", "batch_too_large", "unknown_item", "contradictory_feedback"],
          ["wrong_modality", "empty_text", "invalid_text", "invalid_id", "invalid_image", "image_too_large"],
          ["wrong_dimensions", "not_finite", "zero_vector", "invalid_vector"],
        ),
      },
    },
    (request) => database().collection(request.params.collection).submitFeedback(request.body),
  );

  app.get(
    "/collections/:collection/feedback",
    {
      schema: {
        tags,
        summary: "List feedback",
        params: CollectionParams,
        querystring: PageQuery,
        response: responses({ 200: FeedbackList }, "validation_failed", "invalid_cursor", "collection_not_found"),
      },
    },
    (request) => database().collection(request.params.collection).listFeedback(request.query),
  );

  app.delete(
    "/collections/:collection/feedback/:id",
    {
      schema: {
        tags,
        summary: "Take feedback back",
        params: FeedbackParams,
        response: responses({ 204: NoContent }, "collection_not_found", "feedback_not_found"),
      },
    },
    async (request, reply) => {
      await database().collection(request.params.collection).deleteFeedback(request.params.id);
      return reply.code(204).send(null);
    },
  );
};

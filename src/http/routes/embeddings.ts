import { CreateEmbeddings, Embeddings } from "../../../schemas/index.js";
import { BODY_ERRORS, responses } from "../responses.js";
import type { RoutePlugin } from "./plugin.js";

export const embeddingRoutes: RoutePlugin = async (app, { database }) => {
  app.post(
    "/embeddings",
    {
      schema: {
        tags: ["embeddings"],
        summary: "Embed texts, in the shape of OpenAI's API",
        body: CreateEmbeddings,
        response: responses({ 200: Embeddings }, BODY_ERRORS, [
          "model_not_found",
          "batch_too_large",
          "no_encoder",
          "wrong_modality",
          "empty_text",
          "invalid_text",
        ]),
      },
    },
    async (request): Promise<Embeddings> => {
      const { input, model, encoding_format: format } = request.body;
      const { vectors, dimensions, tokens } = await database().embed(
        model,
        typeof input === "string" ? [input] : input,
      );
      const data = Array.from({ length: vectors.length / dimensions }, (_, index) => {
        const row = vectors.subarray(index * dimensions, (index + 1) * dimensions);
        return { object: "embedding" as const, index, embedding: format === "base64" ? toBase64(row) : [...row] };
      });
      return { object: "list", data, model, usage: { prompt_tokens: tokens, total_tokens: tokens } };
    },
  );
};

/** Base64 of the row as little-endian float32, which is how the platforms that ONNX Runtime has hold it. */
function toBase64(row: Float32Array): string {
  return Buffer.from(row.buffer, row.byteOffset, row.byteLength).toString("base64");
}

import swagger from "@fastify/swagger";
import type { FastifyInstance } from "fastify";

const TAGS = [
  { name: "collections", description: "Where items live: one modality, one metric, one encoder." },
  { name: "items", description: "Texts, images or vectors with a payload." },
  { name: "query", description: "Nearest neighbours, with filters." },
  { name: "feedback", description: "What people say is similar and what is not." },
  { name: "fine-tunes", description: "Jobs that learn from feedback, and activations of generations." },
  { name: "generations", description: "The embeddings a collection has had, and rollback." },
  { name: "embeddings", description: "Vectors of texts, in the OpenAI shape." },
  { name: "operations", description: "Health, readiness, and this description." },
];

/** Describes every route added after this call as OpenAPI 3.1; `GET /openapi.json` answers it. */
export async function describeRoutes(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Attune",
        description: "A vector search database that learns from similar / dissimilar feedback.",
        version,
        license: { name: "Apache-2.0", identifier: "Apache-2.0" },
      },
      tags: TAGS,
    },
    refResolver: {
      buildLocalReference: (schema, _base, _fragment, index) =>
        typeof schema.$id === "string" ? schema.$id : `definition-${index}`,
    },
  });
}

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CATALOGUE } from "../../src/errors/index.js";
import { type ServerUnderTest, serve } from "./support.js";

interface Operation {
  tags: string[];
  summary: string;
  requestBody?: { content: Record<string, { example?: unknown; examples?: Record<string, { value: unknown }> }> };
  responses: Record<string, { description: string; content?: Record<string, { schema?: { $ref?: string } }> }>;
}
interface Description {
  openapi: string;
  tags: { name: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, unknown> };
}

let server: ServerUnderTest;
let description: Description;
before(async () => {
  server = await serve();
  description = (await server.client.openapi()) as unknown as Description;
});
after(() => server.stop());

const C = "/v1/collections/{collection}";
/** Every route of the contract, written down here from the contract. */
const ROUTES: [path: string, methods: string[]][] = [
  ["/v1/collections", ["get"]],
  [C, ["delete", "get", "patch", "put"]],
  [`${C}/items`, ["get", "post"]],
  [`${C}/items/{id}`, ["delete", "get", "patch"]],
  [`${C}/items/{id}/image`, ["get"]],
  [`${C}/content/{hash}`, ["get"]],
  [`${C}/items/get`, ["post"]],
  [`${C}/items/scroll`, ["post"]],
  [`${C}/items/count`, ["post"]],
  [`${C}/items/delete`, ["post"]],
  [`${C}/query`, ["post"]],
  [`${C}/query/batch`, ["post"]],
  [`${C}/feedback`, ["get", "post"]],
  [`${C}/feedback/{id}`, ["delete"]],
  [`${C}/fine-tunes`, ["get", "post"]],
  [`${C}/fine-tunes/{id}`, ["get"]],
  [`${C}/fine-tunes/{id}/events`, ["get"]],
  [`${C}/fine-tunes/{id}/cancel`, ["post"]],
  [`${C}/fine-tunes/{id}/resume`, ["post"]],
  [`${C}/generations`, ["get"]],
  [`${C}/generations/{generation}/activate`, ["post"]],
  [`${C}/generations/{generation}/model`, ["get"]],
  ["/v1/embeddings", ["post"]],
  ["/healthz", ["get"]],
  ["/readyz", ["get"]],
  ["/openapi.json", ["get"]],
  ["/docs/errors.md", ["get"]],
];

const operations = () =>
  Object.entries(description.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ name: `${method} ${path}`, operation })),
  );

test("describes every route of the contract, and no other", () => {
  assert.match(description.openapi, /^3\.1\./);
  const described = Object.entries(description.paths).map(([path, methods]) => [path, Object.keys(methods).sort()]);
  assert.deepEqual(new Map(described as never), new Map(ROUTES));
});

test("every reference leads somewhere", () => {
  const references: string[] = [];
  JSON.stringify(description, (key, value) => {
    if (key === "$ref") references.push(value);
    return value;
  });
  assert.ok(references.length > 10);
  for (const reference of new Set(references)) {
    assert.match(reference, /^#\/components\/schemas\//);
    assert.ok(reference.split("/")[3]! in description.components.schemas, `${reference} leads nowhere`);
  }
  assert.deepEqual(Object.keys(description.components.schemas).sort(), ["Condition", "Filter", "Problem"]);
});

test("every operation has a known tag, a summary, and a success", () => {
  const tags = new Set(description.tags.map(({ name }) => name));
  for (const { name, operation } of operations()) {
    assert.equal(operation.tags.length, 1, name);
    assert.ok(tags.has(operation.tags[0]!), name);
    assert.ok(operation.summary.length > 5, name);
    assert.ok(
      Object.keys(operation.responses).some((status) => status.startsWith("2")),
      name,
    );
  }
});

test("every error is a Problem, with an example of each code", () => {
  for (const { name, operation } of operations()) {
    const errors = Object.entries(operation.responses).filter(([status]) => Number(status) >= 400);
    assert.ok(errors.length > 0, name);
    for (const [status, { content }] of errors) {
      assert.deepEqual(Object.keys(content ?? {}), ["application/problem+json"], `${name} ${status}`);
      const media = content!["application/problem+json"] as {
        schema: { $ref: string };
        examples: Record<string, unknown>;
      };
      assert.equal(media.schema.$ref, "#/components/schemas/Problem");
      for (const code of Object.keys(media.examples)) {
        assert.equal(CATALOGUE[code as keyof typeof CATALOGUE].status, Number(status), `${name} ${code}`);
      }
    }
  }
});

test("the examples of bodies fit their schemas", async () => {
  let examples = 0;
  for (const [path, methods] of Object.entries(description.paths)) {
    for (const [method, { requestBody }] of Object.entries(methods)) {
      const media = requestBody?.content["application/json"];
      const bodies =
        media?.example !== undefined ? [media.example] : Object.values(media?.examples ?? {}).map(({ value }) => value);
      for (const body of bodies) {
        examples += 1;
        const target = path.replace("{collection}", "examples");
        const { json, text } = await server.send(method.toUpperCase(), target, { body });
        assert.notEqual(json?.code, "validation_failed", `${method} ${path}: ${text}`);
        await server.send("DELETE", "/v1/collections/examples");
      }
    }
  }
  assert.ok(examples >= 8, `${examples} examples`);
});

test("items may be sent as JSON, as bytes or line by line", () => {
  const body = description.paths[`${C}/items`]?.post?.requestBody;
  assert.deepEqual(Object.keys(body?.content ?? {}).sort(), [
    "application/json",
    "application/octet-stream",
    "application/x-ndjson",
  ]);
});

test("images come as images, or not at all where the client has them", () => {
  for (const path of [`${C}/items/{id}/image`, `${C}/content/{hash}`]) {
    const { responses = {} } = description.paths[path]?.get ?? {};
    assert.deepEqual(Object.keys(responses["200"]?.content ?? {}), ["image/*"], path);
    assert.equal(responses["304"]?.content?.["image/*"], undefined);
  }
});

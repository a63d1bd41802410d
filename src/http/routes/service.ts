import { readFile } from "node:fs/promises";
import { Type } from "typebox";
import { Health, Readiness } from "../../../schemas/index.js";
import { ERROR_PAGE } from "../problem.js";
import { responses } from "../responses.js";
import type { RoutePlugin } from "./plugin.js";

const tags = ["operations"];

/** Where `docs/errors.md` lies, seen from the compiled file. */
const ERROR_PAGE_FILE = new URL("../../../../docs/errors.md", import.meta.url);

export const serviceRoutes: RoutePlugin = async (app, { database }) => {
  app.get(
    "/healthz",
    { schema: { tags, summary: "Whether the process is alive", response: responses({ 200: Health }) } },
    async (): Promise<Health> => ({ status: "ok" }),
  );

  app.get(
    "/readyz",
    {
      schema: {
        tags,
        summary: "Whether the server can answer queries, and on which execution provider",
        response: responses({ 200: Readiness }, "starting"),
      },
    },
    async () => database().readiness(),
  );

  app.get(
    "/openapi.json",
    {
      schema: {
        tags,
        summary: "This description, as OpenAPI 3.1",
        response: responses({ 200: Type.Unsafe<string>({ type: "object" }) }),
      },
    },
    // Made once, on the first request: by then every route is there.
    (() => {
      let description: string | undefined;
      return async (_request, reply) => {
        description ??= JSON.stringify(app.swagger());
        return reply.type("application/json").send(description);
      };
    })(),
  );

  const page = await readFile(ERROR_PAGE_FILE, "utf8");
  app.get(
    ERROR_PAGE,
    {
      schema: {
        tags,
        summary: "What each error code means",
        response: responses({
          200: { description: "Markdown.", content: { "text/markdown": { schema: Type.String() } } },
        }),
      },
    },
    async (_request, reply) => reply.type("text/markdown; charset=utf-8").send(page),
  );
};

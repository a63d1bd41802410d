import type { FastifyInstance, HTTPMethods } from "fastify";
import { AttuneError } from "../errors/index.js";

const METHODS: readonly HTTPMethods[] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/**
 * Collects the routes added after this call; the function returned then adds, for each path, a refusal of the methods it
 * does not have.
 */
export function collectMethods(app: FastifyInstance): () => void {
  const paths = new Map<string, Set<string>>();
  app.addHook("onRoute", ({ url, method }) => {
    const methods = paths.get(url) ?? new Set();
    for (const one of [method].flat()) methods.add(one);
    paths.set(url, methods);
  });
  return () => {
    for (const [url, methods] of [...paths]) refuseOthers(app, url, [...methods]);
  };
}

function refuseOthers(app: FastifyInstance, url: string, allowed: readonly string[]): void {
  const others = METHODS.filter((method) => !allowed.includes(method));
  if (others.length === 0) return;
  const allow = allowed.join(", ");
  app.route({
    url,
    method: others,
    exposeHeadRoute: false,
    schema: { hide: true },
    // Before the body is read: what it holds does not matter.
    onRequest: async (request, reply) => {
      reply.header("allow", allow);
      throw new AttuneError(
        "method_not_allowed",
        `${request.method} is not possible here; ${allow} ${allowed.length === 1 ? "is" : "are"}.`,
      );
    },
    handler: () => undefined,
  });
}

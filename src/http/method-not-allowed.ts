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
    const all = [...paths].map(([url, methods]) => ({ url, methods: [...methods] }));
    for (const { url } of all) {
      // `GET .../items/count` is not the count of items, but it is the item of id "count".
      const allowed = new Set(all.filter((other) => covers(other.url, url)).flatMap(({ methods }) => methods));
      refuseOthers(app, url, [...allowed]);
    }
  };
}

/** Whether every path of the second pattern is one of the first too. */
function covers(pattern: string, url: string): boolean {
  const parts = pattern.split("/");
  const others = url.split("/");
  return parts.length === others.length && parts.every((part, i) => part.startsWith(":") || part === others[i]);
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

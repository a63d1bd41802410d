import type { FastifyRequest } from "fastify";

/** The entity tag of a content: its hash in quotes. */
export function entityTag(hash: string): string {
  return `"${hash}"`;
}

/** Which content the request says it has. */
export function knownTo({ headers }: FastifyRequest): (hash: string) => boolean {
  const tags = (headers["if-none-match"] ?? "").split(",").map((tag) => tag.trim().replace(/^W\//, ""));
  return (hash) => tags.includes("*") || tags.includes(entityTag(hash));
}

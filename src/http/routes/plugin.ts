import type { FastifyPluginAsyncTypebox } from "@fastify/type-provider-typebox";
import type { Database } from "../../collection/index.js";

/** The routes of one noun. */
export type RoutePlugin = FastifyPluginAsyncTypebox<{ database: Database }>;

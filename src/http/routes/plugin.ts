import type { FastifyPluginAsyncTypebox } from "@fastify/type-provider-typebox";
import type { Database } from "../../collection/index.js";

/** The database, once it is open. @throws starting */
export type DatabaseSource = () => Database;

/** The routes of one noun. */
export type RoutePlugin = FastifyPluginAsyncTypebox<{ database: DatabaseSource }>;

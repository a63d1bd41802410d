import type { FastifyInstance } from "fastify";
import { Database, type DatabaseOptions, DEFAULT_LIMITS } from "../collection/index.js";
import { AttuneError } from "../errors/index.js";
import { createApp, type LogLevel, mountRoutes } from "./app.js";

export interface ServerOptions extends Omit<DatabaseOptions, "directory" | "log"> {
  /** The data directory; made when it is not there. */
  data: string;
  /** @default "127.0.0.1" */
  host?: string | undefined;
  /** 0 takes any free port. @default 7700 */
  port?: number | undefined;
  /** @default "warn" */
  logLevel?: LogLevel | undefined;
  /** How long requests in flight may take once the server closes, in milliseconds. @default 10,000 */
  closeTimeoutMs?: number | undefined;
}

export interface RunningServer {
  /** For example `http://127.0.0.1:7700`. */
  address: string;
  /** Accepts no more, ends event streams, answers what is in flight, then closes the database. */
  close(): Promise<void>;
}

/**
 * Serves a data directory. The port is taken first; until the collections are open, requests are refused with `starting`
 * (GET /healthz is answered). Resolves when they are.
 * @throws data_locked, data_version, provider_unavailable
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { data, host = "127.0.0.1", port = 7700, closeTimeoutMs = 10_000, logLevel = "warn", ...rest } = options;
  const app = createApp({ logLevel });
  let database: Database | undefined;
  const whenOpen = () => {
    if (database !== undefined) return database;
    throw new AttuneError("starting", "The server is opening its collections; send the request again in a moment.");
  };
  try {
    mountRoutes(app, whenOpen, options.limits?.bodyBytes ?? DEFAULT_LIMITS.bodyBytes);
    const address = await app.listen({ host, port });
    const opened = await Database.open({ ...rest, directory: data, log: app.log });
    database = opened;
    return { address, close: once(() => closeAll(app, opened, closeTimeoutMs)) };
  } catch (error) {
    await app.close();
    throw error;
  }
}

async function closeAll(app: FastifyInstance, database: Database, timeoutMs: number): Promise<void> {
  const timer = setTimeout(() => {
    app.log.warn("requests in flight took too long; closing their connections");
    app.server.closeAllConnections();
  }, timeoutMs);
  await app.close();
  clearTimeout(timer);
  await database.close();
}

function once(action: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => {
    running ??= action();
    return running;
  };
}

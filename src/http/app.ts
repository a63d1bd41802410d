import Fastify, { type FastifyInstance, LogController } from "fastify";
import { ConditionSchema, FilterSchema, Problem } from "../../schemas/index.js";
import { type Database, VERSION } from "../collection/index.js";
import { AttuneError } from "../errors/index.js";
import { answerClientError, handleErrors, sendProblem } from "./error-handling.js";
import { readJsonBodies } from "./json-body.js";
import { collectMethods } from "./method-not-allowed.js";
import { describeRoutes } from "./openapi.js";
import { readParametersByType } from "./query-string.js";
import { collectionRoutes } from "./routes/collections.js";
import { embeddingRoutes } from "./routes/embeddings.js";
import { feedbackRoutes } from "./routes/feedback.js";
import { fineTuneRoutes } from "./routes/fine-tunes.js";
import { generationRoutes } from "./routes/generations.js";
import { imageRoutes } from "./routes/images.js";
import { itemImportRoutes } from "./routes/item-import.js";
import { itemRoutes } from "./routes/items.js";
import type { DatabaseSource } from "./routes/plugin.js";
import { queryRoutes } from "./routes/query.js";
import { serviceRoutes } from "./routes/service.js";

/** An id has at most 256 characters; percent-encoded, one takes up to 12 (four bytes of UTF-8, three characters each). */
const MAX_PARAMETER_LENGTH = 256 * 12;

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";

export interface AppOptions {
  /** What is logged to standard error, as JSON lines; `info` logs each request. @default "warn" */
  logLevel?: LogLevel;
}

/** The HTTP app of an open database, not listening yet; who opened the database closes it, after the app. */
export function buildApp(database: Database, options: AppOptions = {}): FastifyInstance {
  const app = createApp(options);
  mountRoutes(app, () => database, database.limits.bodyBytes);
  return app;
}

/** The app without its routes: logging, validation, and errors. */
export function createApp({ logLevel = "warn" }: AppOptions = {}): FastifyInstance {
  const logsRequests = ["trace", "debug", "info"].includes(logLevel);
  const app = Fastify({
    logger: { level: logLevel, stream: process.stderr },
    logController: new LogController({ disableRequestLogging: !logsRequests }),
    // A logger for each request, which repeats its number, takes a twentieth of the time of a query; its lines are tied together where there are several.
    childLoggerFactory: (logger, bindings, options) => (logsRequests ? logger.child(bindings, options) : logger),
    routerOptions: { maxParamLength: MAX_PARAMETER_LENGTH },
    return503OnClosing: false,
    forceCloseConnections: "idle",
    frameworkErrors: sendProblem,
    clientErrorHandler: answerClientError,
    // Bodies are taken as they are: nothing converted, nothing dropped, nothing filled in. The validator stops at the
    // first fault, so that a hostile body cannot make it collect millions.
    ajv: {
      customOptions: {
        coerceTypes: false,
        removeAdditional: false,
        useDefaults: false,
        allErrors: false,
        verbose: true,
      },
    },
  });
  // On ten hits with payload, a compiled serialiser was measured to save 1 to 2 of 5 us, where a request takes 110 or more, and it
  // drops what the schema does not name.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  handleErrors(app);
  refuseWhileClosing(app);
  return app;
}

/** Adds every route of the API to the app; the database may open later. `bodyBytes` is the limit of a body. */
export function mountRoutes(app: FastifyInstance, database: DatabaseSource, bodyBytes: number): void {
  for (const schema of [Problem, FilterSchema, ConditionSchema]) app.addSchema(schema);
  app.register(async (api) => {
    await describeRoutes(api, VERSION);
    readJsonBodies(api);
    readParametersByType(api);
    const refuseOtherMethods = collectMethods(api);
    api.addHook("onRoute", (route) => {
      route.bodyLimit ??= bodyBytes;
    });
    await api.register(serviceRoutes, { database });
    const routes = [
      collectionRoutes,
      itemRoutes,
      itemImportRoutes,
      imageRoutes,
      queryRoutes,
      feedbackRoutes,
      fineTuneRoutes,
      generationRoutes,
      embeddingRoutes,
    ];
    for (const plugin of routes) await api.register(plugin, { database, prefix: "/v1" });
    refuseOtherMethods();
  });
}

/** Requests that reach a closing server on a kept connection are refused, and each connection is closed after its answer. */
function refuseWhileClosing(app: FastifyInstance): void {
  let closing = false;
  app.addHook("preClose", async () => {
    closing = true;
  });
  app.addHook("onRequest", (_request, _reply, done) => {
    if (closing)
      done(new AttuneError("shutting_down", "The server is shutting down; send the request again to the next one."));
    else done();
  });
  app.addHook("onSend", (_request, reply, _payload, done) => {
    if (closing) reply.header("connection", "close");
    done();
  });
}

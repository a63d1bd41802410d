export { type AppOptions, buildApp, type LogLevel } from "./app.js";
export { type RunningServer, type ServerOptions, startServer } from "./server.js";

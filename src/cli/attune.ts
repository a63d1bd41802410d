#!/usr/bin/env node
import { runCli } from "./run.js";

// A reader such as `head` may leave before everything is written: that is its right, and no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

process.exitCode = await runCli(process.argv.slice(2));

import { homedir } from "node:os";
import { join } from "node:path";

/** The folder for built and downloaded models: `ATTUNE_CACHE`, else `XDG_CACHE_HOME/attune`, else `~/.cache/attune`. */
export function defaultCacheDirectory(): string {
  const { ATTUNE_CACHE, XDG_CACHE_HOME } = process.env;
  if (ATTUNE_CACHE) return ATTUNE_CACHE;
  return join(XDG_CACHE_HOME || join(homedir(), ".cache"), "attune");
}

export type { ProviderChoice } from "../runtime/index.js";
export { Collection } from "./collection.js";
export { Database, type DatabaseOptions } from "./database.js";
export type { GivenItem, GivenQuery } from "./items/given.js";
export type { ImageFile, IsKnown } from "./items/item-reader.js";
export type { Line } from "./items/line-import.js";
export { DEFAULT_LIMITS, type Limits } from "./limits.js";
export type { Logger } from "./logger.js";
export { VERSION } from "./version.js";

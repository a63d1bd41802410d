export type {
  CollectionInfo,
  CollectionList,
  CreateCollection,
  CreateEmbeddings,
  Embeddings,
  FeedbackEntry,
  FeedbackList,
  FeedbackResult,
  Filter,
  FineTuneOptions,
  Generation,
  Health,
  Hit,
  Item,
  ItemList,
  Job,
  JobList,
  JobStarted,
  PageQuery,
  PatchCollection,
  Payload,
  Problem,
  QueryBatchResult,
  QueryResult,
  Readiness,
  ScrollItems,
  StreamResult,
  UpsertResult,
} from "../../schemas/index.js";
export { AttuneClient } from "./attune-client.js";
export { CollectionClient, type ImageDownload, type ModelDownload } from "./collection-client.js";
export type {
  FeedbackToSend,
  ImageLike,
  ItemToSend,
  QueryToSend,
  ReferenceToSend,
  VectorLike,
} from "./contents.js";
export { AttuneApiError, AttuneConnectionError } from "./errors.js";
export type { CallOptions, ClientOptions } from "./transport.js";

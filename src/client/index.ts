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
  Job,
  JobList,
  JobStarted,
  PageQuery,
  PatchCollection,
  Payload,
  Problem,
  Readiness,
  ScrollItems,
  StreamResult,
  UpsertResult,
} from "../../schemas/index.js";
export type { Hit, Item, ItemList, QueryBatchResult, QueryResult, VectorForm, VectorOf } from "./answers.js";
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

import "./telemetry.js";

export { HeldTensor } from "./held-tensor.js";
export { availableProviders, type Provider, type ProviderChoice } from "./providers.js";
export {
  type Feeds,
  type HoldingResult,
  openSession,
  type Session,
  type SessionOptions,
} from "./session.js";
export type { Tensor, TensorArray, TensorType } from "./tensor.js";
export { openWorkerSession, type WorkerSession, type WorkerSessionOptions } from "./worker-session.js";

import type { ErrorCode } from "../errors/index.js";
import type { Provider } from "./providers.js";
import type { SessionOptions } from "./session.js";
import type { Tensor } from "./tensor.js";

/** What the worker is started with. */
export interface WorkerStart {
  readonly model: string | Uint8Array;
  readonly options: Omit<SessionOptions, "log">;
  readonly niceness: number;
}

/** To the worker. */
export type Request =
  | {
      readonly kind: "run";
      readonly id: number;
      readonly feeds: Record<string, Tensor>;
      readonly outputs?: readonly string[];
    }
  | { readonly kind: "close" };

/** From the worker. */
export type Reply =
  | {
      readonly kind: "open";
      readonly provider: Provider;
      readonly inputNames: readonly string[];
      readonly outputNames: readonly string[];
    }
  | { readonly kind: "log"; readonly message: string }
  | { readonly kind: "result"; readonly id: number; readonly tensors: Record<string, Tensor> }
  | { readonly kind: "failed"; readonly id?: number; readonly code: ErrorCode; readonly message: string };

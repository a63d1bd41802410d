import { AttuneError } from "../../../errors/index.js";

export type Tensorflow = typeof import("@tensorflow/tfjs");

export interface OpenTensorflow {
  readonly tf: Tensorflow;
  /** TensorFlow.js's name of what computes: `tensorflow` (the native library, on CUDA or the CPU) or `wasm`. */
  readonly backend: "tensorflow" | "wasm";
}

const NATIVE = "@tensorflow/tfjs-node-gpu";
const PORTABLE = "@tensorflow/tfjs";
const WASM = "@tensorflow/tfjs-backend-wasm";

/**
 * Loads TensorFlow.js: its native build for GPUs where it is installed and loads, else the portable one on WebAssembly. All are
 * optional peers of this package, and heavy; so they are loaded here, when they are asked for, and nowhere else.
 *
 * @param load how a package is loaded @default `import`
 * @throws engine_unavailable when neither is there, saying why each could not be had
 */
export async function openTensorflow(
  load: (name: string) => Promise<unknown> = importPackage,
): Promise<OpenTensorflow> {
  const failures: string[] = [];
  for (const open of [openNative, openWasm]) {
    try {
      return await open(load);
    } catch (error) {
      failures.push(firstLine(error));
    }
  }
  throw new AttuneError(
    "engine_unavailable",
    `engine "tfjs" needs ${NATIVE}, or ${PORTABLE} with ${WASM}, and neither can be loaded: ${failures.join("; ")}. Install one of them beside Attune, or choose engine "onnx".`,
  );
}

async function openNative(load: (name: string) => Promise<unknown>): Promise<OpenTensorflow> {
  return started((await load(NATIVE)) as Tensorflow, "tensorflow");
}

async function openWasm(load: (name: string) => Promise<unknown>): Promise<OpenTensorflow> {
  const tf = (await load(PORTABLE)) as Tensorflow;
  await load(WASM);
  return started(tf, "wasm");
}

async function started(tf: Tensorflow, backend: OpenTensorflow["backend"]): Promise<OpenTensorflow> {
  if (tf.findBackendFactory(backend) === null) throw new Error(`TensorFlow.js has no backend "${backend}"`);
  if (!(await tf.setBackend(backend))) throw new Error(`TensorFlow.js's backend "${backend}" does not start`);
  await tf.ready();
  return { tf, backend };
}

/** The packages are CommonJS: what they export is their default. */
async function importPackage(name: string): Promise<unknown> {
  const module = (await import(name)) as { default?: unknown };
  return module.default ?? module;
}

function firstLine(error: unknown): string {
  return ((error instanceof Error ? error.message : String(error)).split("\n")[0] ?? "").replace(/\.$/, "");
}

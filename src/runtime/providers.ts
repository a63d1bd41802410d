import { readdirSync, readlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { listSupportedBackends } from "onnxruntime-node";

/** Where a model runs. */
export type Provider = "cuda" | "webgpu" | "coreml" | "dml" | "cpu";
export type ProviderChoice = "auto" | Provider;

/** Kernel drivers of virtual displays: a Vulkan adapter behind them computes on the CPU, slower than the CPU provider. */
const VIRTUAL_DRIVERS = new Set(["virtio-pci", "virtio_gpu", "vgem", "vkms", "bochs-drm", "vmwgfx", "simpledrm"]);

/**
 * The providers that `auto` tries, in this order; the last is always the CPU. Listing them is quick and starts nothing, so one
 * of them may still fail to start, and `auto` then goes on to the next.
 *
 * CUDA is listed where its library is installed. WebGPU is listed on Linux only beside the device node of a real GPU: on a software
 * adapter (SwiftShader) a training step took seconds that takes 3 ms on the CPU provider. CoreML and DirectML run when they are asked for;
 * WebGPU reaches the same hardware through Metal and Direct3D 12.
 */
export function availableProviders(): Provider[] {
  const built = new Set(listSupportedBackends().map((backend) => backend.name));
  const providers: Provider[] = [];
  if (built.has("cuda") && cudaLibraryInstalled()) providers.push("cuda");
  if (built.has("webgpu") && (process.platform !== "linux" || hasRenderNode())) providers.push("webgpu");
  return [...providers, "cpu"];
}

/** True when this build of ONNX Runtime knows the provider; whether it can start shows when a session is opened. */
export function isBuiltIn(provider: Provider): boolean {
  return listSupportedBackends().some((backend) => backend.name === provider);
}

/** onnxruntime-node's install script puts the CUDA provider beside its binding, where ONNX Runtime looks for it. */
function cudaLibraryInstalled(): boolean {
  const home = dirname(createRequire(import.meta.url).resolve("onnxruntime-node/package.json"));
  const files = list(join(home, "bin")).flatMap((abi) => list(join(home, "bin", abi, process.platform, process.arch)));
  return files.some((file) => /providers_cuda\.(so|dll)$/.test(file));
}

function hasRenderNode(): boolean {
  const nodes = list("/dev/dri").filter((node) => node.startsWith("renderD"));
  return nodes.some((node) => {
    const driver = driverOf(node);
    return driver !== undefined && !VIRTUAL_DRIVERS.has(driver);
  });
}

function driverOf(node: string): string | undefined {
  try {
    return basename(readlinkSync(`/sys/class/drm/${node}/device/driver`));
  } catch {
    return undefined;
  }
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

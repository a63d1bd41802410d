import { createRequire } from "node:module";
import os from "node:os";

const require = createRequire(import.meta.url);

export interface Machine {
  cpu: string;
  cores: number;
  memoryGiB: number;
  platform: string;
  versions: Record<string, string>;
}

/** What the figures were measured on and with. */
export function describeMachine(): Machine {
  return {
    cpu: os.cpus()[0]?.model.trim() ?? "unknown",
    cores: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    platform: `${os.platform()} ${os.release()} ${os.arch()}`,
    versions: {
      node: process.versions.node,
      attune: versionOf("../../../package.json"),
      "hnswlib-node": versionOf("hnswlib-node/package.json"),
      "onnxruntime-node": versionOf("onnxruntime-node/package.json"),
    },
  };
}

function versionOf(packageJson: string): string {
  return (require(packageJson) as { version: string }).version;
}

/** The same as one line. */
export function machineLine({ cpu, cores, memoryGiB, platform, versions }: Machine): string {
  const software = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${platform}; ${software.join(", ")}`;
}

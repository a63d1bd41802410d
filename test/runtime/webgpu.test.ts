import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import type { Report } from "./webgpu-child.js";

/** SwiftShader computes Vulkan on the CPU; Debian's package chromium-common brings it. */
const SWIFT_SHADER = "/usr/lib/chromium/vk_swiftshader_icd.json";
const CHILD = fileURLToPath(new URL("./webgpu-child.js", import.meta.url));
const TOLERANCE = 1e-3;

const driver = [process.env.VK_DRIVER_FILES, SWIFT_SHADER].find((file) => file !== undefined && existsSync(file));
const required = process.env.ATTUNE_REQUIRE_WEBGPU === "1";
const missing =
  driver === undefined &&
  !required &&
  `no Vulkan driver: neither VK_DRIVER_FILES nor ${SWIFT_SHADER} (apt-get install chromium-common libvulkan1)`;

describe("WebGPU, through a software driver", { skip: missing }, () => {
  const reports = new Map<string, Report>();
  let ended = "";
  before(async () => {
    assert.ok(driver, `ATTUNE_REQUIRE_WEBGPU is set, and there is no Vulkan driver at ${SWIFT_SHADER}`);
    const child = fork(CHILD, [], {
      execArgv: [],
      env: { ...process.env, VK_DRIVER_FILES: driver },
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    let stderr = "";
    child.stderr?.on("data", (chunk) => {
      stderr = `${stderr}${chunk}`.slice(-2_000);
    });
    child.on("message", (report: Report) => reports.set(report.scenario, report));
    const [code, signal] = await once(child, "close");
    ended = `the process ended with ${signal ?? code}: ${stderr}`;
    if (code !== 0) console.log(`webgpu: ${ended}`);
  });

  function reportOf(scenario: string): Report {
    const report = reports.get(scenario);
    assert.ok(report, `${scenario}: no result; ${ended}`);
    assert.equal(report.facts.error, undefined);
    console.log(`webgpu: ${scenario}: at most ${report.furthest} from the CPU`);
    assert.ok(report.furthest < TOLERANCE, `${scenario}: WebGPU is ${report.furthest} from the CPU`);
    return report;
  }

  it("keeps held tensors on the device from step to step, and gives them back when they are read", () => {
    const { facts } = reportOf("held tensors");
    assert.deepEqual(facts.onDevice, [true, true, true, true]);
  });

  it("ends held tensors with their session, and refuses to read them then", () => {
    const { facts } = reportOf("held tensors");
    assert.deepEqual(facts.released, [true, true, true, true]);
    assert.match(String(facts.refused), /released/);
  });

  it("encodes texts as the CPU does", () => {
    assert.deepEqual(reportOf("encode").facts, { cpu: "cpu", webgpu: "webgpu" });
  });

  it("trains a head as the CPU does", () => {
    assert.deepEqual(reportOf("steps of a head").facts, { cpu: "cpu", webgpu: "webgpu" });
  });

  it("trains an encoder as the CPU does, its weights on the device", () => {
    const { facts } = reportOf("a step of an encoder");
    assert.deepEqual(facts, { cpu: "cpu", "cpu onDevice": false, webgpu: "webgpu", "webgpu onDevice": true });
  });

  it("ends without a crash", () => {
    assert.match(ended, /^the process ended with 0/);
  });
});

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { cleanUp } from "./clean-up.js";

/** A new directory that goes away with the test, after what was registered later with `cleanUp`. */
export function temporaryDirectory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "attune-test-"));
  cleanUp(t, () => rmSync(path, { recursive: true, force: true }));
  return path;
}

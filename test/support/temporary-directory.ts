import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

/** A new directory that goes away with the test, after everything registered later has been cleaned up. */
export function temporaryDirectory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "attune-test-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

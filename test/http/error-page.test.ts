import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";
import { CATALOGUE, type ErrorCode } from "../../src/errors/index.js";

const page = await readFile(new URL("../../../docs/errors.md", import.meta.url), "utf8");
const sections = new Map(
  [...page.matchAll(/^### (\w+)\n([\s\S]*?)(?=\n#|(?![\s\S]))/gm)].map(([, code = "", text = ""]) => [code, text]),
);

/** Codes that no test raises, and why. */
const NOT_RAISED: Record<string, string> = {
  fine_tune_failed: "it takes a child process that dies of itself, for example for want of memory",
};

test("every code is raised by a test, or there is a reason why not", async () => {
  const folder = new URL("../../../test/", import.meta.url);
  const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith(".test.ts"));
  const tests = (await Promise.all(files.map((name) => readFile(new URL(name, folder), "utf8")))).join("\n");
  for (const code of Object.keys(CATALOGUE)) {
    const raised = tests.includes(`"${code}"`);
    if (!raised) assert.ok(code in NOT_RAISED, `no test raises ${code}`);
  }
});

test("every code of the catalogue is documented, with its status", () => {
  for (const [code, { status }] of Object.entries(CATALOGUE)) {
    assert.ok(sections.has(code), `docs/errors.md has no section ### ${code}`);
    assert.match(
      sections.get(code) ?? "",
      new RegExp(`^${status}\\. `),
      `the section of ${code} begins with its status`,
    );
  }
});

test("every documented code exists", () => {
  for (const code of sections.keys())
    assert.ok(code in CATALOGUE, `docs/errors.md explains ${code}, which does not exist`);
});

test("every code says what to do, in more than its title", () => {
  for (const [code, text] of sections) {
    assert.ok(
      text.trim().length > CATALOGUE[code as ErrorCode].title.length + 20,
      `the section of ${code} is too short`,
    );
  }
});

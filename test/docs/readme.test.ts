import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { cleanUp } from "../support/clean-up.js";
import { projectRoot } from "../support/project-root.js";
import { temporaryDirectory } from "../support/temporary-directory.js";

const run = promisify(execFile);
const ADDRESS = "http://127.0.0.1:7700";
const readme = readFileSync(join(projectRoot, "README.md"), "utf8");
const scripts = (
  JSON.parse(readFileSync(join(projectRoot, "package.json"), "utf8")) as { scripts: Record<string, string> }
).scripts;
const blocks = [...readme.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language = "", code = ""]) => ({
  language,
  code,
}));
const CLI = new URL("../../src/cli/attune.js", import.meta.url).pathname;

/** Runs the command of a block by the real program behind `npm run -s attune --`, without setting up again. */
function attune(code: string): string[] {
  const [, args = ""] = code.trim().split("npm run -s attune -- ");
  return args.split(" ");
}

async function serve(data: string): Promise<{ url: string; child: ChildProcess }> {
  const [serving] = blocks.filter(({ code }) => code.includes("attune -- serve"));
  assert.ok(serving, "the README shows how to start a server");
  const args = attune(serving.code).map((argument) => (argument === "./data" ? data : argument));
  const child = spawn(process.execPath, [CLI, ...args, "--port", "0", "--json"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(child.stdout!, "data")) as [Buffer];
  return { url: (JSON.parse(line.toString()) as { url: string }).url, child };
}

test("every code block of the README does what it says", async (t) => {
  const { url, child } = await serve(temporaryDirectory(t));
  cleanUp(t, async () => {
    const gone = once(child, "exit");
    child.kill("SIGINT");
    await gone;
  });
  const here = (code: string) => code.replaceAll(ADDRESS, url);
  let requests = 0;
  for (const { language, code } of blocks) {
    if (language === "ts") {
      await run(process.execPath, ["--input-type=module", "--eval", here(code)], { cwd: projectRoot });
    } else if (code.startsWith("curl")) {
      const script = `set -euo pipefail; curl() { command curl --fail-with-body "$@"; echo; }\n${here(code)}`;
      const { stdout } = await run("bash", ["-c", script]).catch((error: { stdout: string }) =>
        assert.fail(error.stdout),
      );
      for (const answer of stdout.trim().split("\n")) assert.equal(typeof JSON.parse(answer), "object");
      requests += stdout.trim().split("\n").length;
      if (code.includes("/fine-tunes/1")) await jobsEnd(url);
    } else if (code.includes("attune -- ")) {
      if (!code.includes("serve")) assert.match((await run(process.execPath, [CLI, ...attune(code)])).stdout, /Usage/);
    } else {
      // The two commands themselves: one runs this test, the other has a test of its own.
      const [, script = ""] = /^npm (?:run )?(\w+)\n$/.exec(code) ?? [];
      assert.ok(script in scripts, `no test runs this block:\n${code}`);
    }
  }
  assert.ok(requests >= 8, "the blocks were found");
});

/** The next block may start another job. */
async function jobsEnd(url: string): Promise<void> {
  for (let status = "queued"; ["queued", "running"].includes(status); ) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const answer = await fetch(`${url}/v1/collections/notes/fine-tunes/1`);
    ({ status } = (await answer.json()) as { status: string });
  }
}

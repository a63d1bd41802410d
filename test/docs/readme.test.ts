import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { EXIT } from "../../src/cli/exit-codes.js";
import { cleanUp } from "../support/clean-up.js";
import { plain } from "../support/pictures.js";
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
  const photos = temporaryDirectory(t);
  for (let i = 0; i < 60; i++) writeFileSync(join(photos, `${i}.png`), plain(i % 2 ? "red" : "blue", 2 * i));
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
      if (!code.includes("serve")) await runAttune(attune(code), url, photos);
    } else {
      // The two commands themselves: one runs this test, the other has a test of its own.
      const [, script = ""] = /^npm (?:run )?(\w+)\n$/.exec(code) ?? [];
      assert.ok(script in scripts, `no test runs this block:\n${code}`);
    }
  }
  assert.ok(requests >= 8, "the blocks were found");
});

/** A command of the README against the server at hand. The gate may turn down what is learnt from a few plain pictures. */
async function runAttune(args: readonly string[], url: string, photos: string): Promise<void> {
  const isHelp = args.includes("--help");
  const given = args.map((argument) => (argument === "./photos" ? photos : argument));
  const command = [CLI, ...given, ...(isHelp ? [] : ["--url", url])];
  const answer = await run(process.execPath, command).catch(
    (error: { code: number; stdout: string; stderr: string }) => {
      assert.equal(error.code, EXIT.rejected, error.stderr);
      return error;
    },
  );
  if (isHelp) assert.match(answer.stdout, /Usage/);
}

/** The next block may start another job. */
async function jobsEnd(url: string): Promise<void> {
  for (let status = "queued"; ["queued", "running"].includes(status); ) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const answer = await fetch(`${url}/v1/collections/notes/fine-tunes/1`);
    ({ status } = (await answer.json()) as { status: string });
  }
}

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { after, describe, it } from "node:test";
import { EXIT } from "../../src/cli/exit-codes.js";
import { parseOutput, runCli, startCli } from "./cli.js";

const COMMANDS = ["serve", "collections", "import", "query", "feedback", "tune", "generations", "export", "bench"];

describe("the attune command without a server", () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "attune-cli-"));
  after(() => rmSync(folder, { recursive: true, force: true }));

  it("has help with an example for each command", async () => {
    const help = await runCli(["--help"]);
    assert.equal(help.code, EXIT.ok);
    assert.match(help.stdout, /Exit codes:\n {2}0 /);
    for (const command of COMMANDS) {
      assert.match(help.stdout, new RegExp(`^  ${command}`, "m"));
      const { code, stdout } = await runCli([command, "--help"]);
      assert.equal(code, EXIT.ok, command);
      assert.match(stdout, new RegExp(`Examples?:\n +(zcat|attune ${command})`), command);
    }
  });

  it("ends with 2 when the command line makes no sense", async () => {
    const senseless = [
      "qurey x y",
      "query notes",
      "query notes text --item 1",
      "query notes text -k 0",
      "query notes text --filter {",
      "query notes --vector [1,x]",
      "import no-such-file.jsonl -c notes",
      "import - -c notes --resume",
      "import - -c notes --text-field a --vector-field b",
      "import -",
      "collections create notes --modality smell",
      "serve",
      "serve --data d --limit speed=3",
      "serve --data d --limit k=none",
      "tune notes --promote sometimes",
    ];
    for (const line of senseless) {
      const { code, stdout, stderr } = await runCli(line.split(" "));
      assert.deepEqual([code, stdout], [EXIT.usage, ""], `${line}\n${stderr}`);
      assert.match(stderr, /^error: /, line);
    }
  });

  it("ends with 3 when no server answers, and names the address", async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    for (const line of ["query notes text", "collections list", "export notes", "tune notes"]) {
      const { code, stderr } = await runCli([...line.split(" "), "--url", url]);
      assert.equal(code, EXIT.cannotConnect, line);
      assert.ok(stderr.includes(url), stderr);
    }
  });

  it("serves until asked to stop, and says when the data directory is taken", async () => {
    const data = path.join(folder, "data");
    const serving = startCli([
      "serve",
      "--data",
      data,
      "--port",
      "0",
      "--limit",
      "k=5",
      "--limit",
      "filterDepth=2",
      "--json",
    ]);
    while (!serving.result.stdout.includes("\n") && serving.child.exitCode === null)
      await new Promise((r) => setTimeout(r, 20));
    const { url, pid } = JSON.parse(serving.result.stdout) as { url: string; pid: number };
    assert.equal(pid, serving.child.pid);
    assert.deepEqual(parseOutput(await runCli(["collections", "list", "--json", "--url", url])), { collections: [] });
    const create = "collections create n --modality vector --dimensions 2 --url".split(" ");
    assert.equal((await runCli([...create, url])).code, EXIT.ok);
    const wide = await runCli(["query", "n", "--vector", "[1,2]", "-k", "6", "--url", url]);
    assert.equal(wide.code, EXIT.refused);
    assert.match(wide.stderr, /k_too_large/);
    const second = await runCli(["serve", "--data", data, "--port", "0"]);
    assert.equal(second.code, EXIT.failure);
    assert.match(second.stderr, /data_locked/);
    const port = new URL(url).port;
    const third = await runCli(["serve", "--data", path.join(folder, "other"), "--port", port]);
    assert.equal(third.code, EXIT.failure);
    assert.match(third.stderr, /EADDRINUSE/);
    serving.child.kill("SIGINT");
    assert.equal((await serving.ended).code, EXIT.ok);
  });
});

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

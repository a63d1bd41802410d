import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { loadEmoji } from "../../src/demo/emoji.js";
import { splitEmoji } from "../../src/demo/opinions.js";

const DEMO = fileURLToPath(new URL("../../src/demo/demo.js", import.meta.url));

function startDemo(args: string[], temporary: string) {
  const child = spawn(process.execPath, [DEMO, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, TMPDIR: temporary },
  });
  const output = { text: "", errors: "" };
  child.stdout.on("data", (chunk) => {
    output.text += chunk;
  });
  child.stderr.on("data", (chunk) => {
    output.errors += chunk;
  });
  return { child, output, ended: once(child, "close").then(([code]) => code as number | null) };
}

describe("npm run demo", () => {
  const temporary = mkdtempSync(path.join(os.tmpdir(), "attune-demo-test-"));
  after(() => rmSync(temporary, { recursive: true, force: true }));

  it("plays a round that the gate promotes and that helps emoji no feedback touched, then stays up", async () => {
    const { child, output, ended } = startDemo(["--port", "0"], temporary);
    while (!output.text.includes("Ctrl-C ends it") && child.exitCode === null)
      await new Promise((r) => setTimeout(r, 50));
    assert.match(output.text, /The gate promoted it: generation 1 is live/, output.text + output.errors);
    const [, before, after] = /\(P@10\) +([\d.]+) +([\d.]+)/.exec(output.text) ?? [];
    assert.ok(Number(after) > Number(before), `P@10 ${before} to ${after}`);
    const lines = output.text.split("\n").filter((line) => line.startsWith("  curl "));
    assert.equal(lines.length, 3);
    for (const line of lines) assert.ok(await tryCurl(line), line);
    child.kill("SIGINT");
    assert.equal(await ended, 0);
    assert.deepEqual(readdirSync(temporary), []);
  });

  it("ends at Ctrl-C in the middle and leaves nothing behind", async () => {
    const { child, output, ended } = startDemo(["--port", "0"], temporary);
    while (!output.errors.includes("loading") && child.exitCode === null) await new Promise((r) => setTimeout(r, 20));
    child.kill("SIGINT");
    assert.equal(await ended, 130, output.errors);
    assert.deepEqual(readdirSync(temporary), []);
  });

  it("does not start in a folder that holds something", async () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), "attune-demo-full-"));
    writeFileSync(path.join(folder, "mine.txt"), "mine");
    const { output, ended } = startDemo(["--data", folder], temporary);
    assert.equal(await ended, 2);
    assert.match(output.errors, /the folder is not empty/);
    assert.ok(existsSync(path.join(folder, "mine.txt")));
    rmSync(folder, { recursive: true });
  });
});

describe("the emoji of the demo", () => {
  const emoji = loadEmoji();

  it("have text, group and subgroup, and an id of their own", () => {
    assert.ok(emoji.length > 1_800 && emoji.length < 2_100, `${emoji.length}`);
    assert.equal(new Set(emoji.map(({ id }) => id)).size, emoji.length);
    assert.ok(emoji.every(({ text, group, subgroup }) => text !== "" && group !== "" && subgroup !== ""));
    assert.deepEqual(
      emoji.find(({ id }) => id === "1F382"),
      {
        id: "1F382",
        emoji: "🎂",
        text: "birthday cake, bday, birthday, cake, celebration, dessert, happy, pastry, sweet",
        label: "birthday cake",
        group: "food & drink",
        subgroup: "seafood",
      },
    );
  });

  it("are split so that no held-out one is asked about", () => {
    const { asked, heldOut } = splitEmoji(emoji, 1);
    const ids = new Set(asked.map(({ id }) => id));
    assert.ok(heldOut.length > 300);
    assert.ok(heldOut.every(({ id }) => !ids.has(id)));
  });
});

/** Does what the printed line does, and says whether the server agreed. */
async function tryCurl(line: string): Promise<boolean> {
  const url = /https?:\S+/.exec(line)?.[0] ?? "";
  const body = /-d '(.*)'$/.exec(line)?.[1];
  const post = { method: "POST", headers: { "content-type": "application/json" }, body };
  const response = await fetch(url, body === undefined ? {} : post);
  await response.arrayBuffer();
  return response.ok;
}

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { loadInProcess } from "../../bench/peers/in-process.js";
import { withRatio } from "../../bench/peers/measure.js";
import { asPostgres } from "../../bench/peers/other-debian.js";
import { freePort, type PeerServer, startServer } from "../../bench/peers/server.js";
import { NotInstalled } from "../../bench/peers/system.js";
import { runLoad } from "../../bench/support/load.js";
import { PostgresConnection } from "../../bench/support/postgres-connection.js";

describe("ratios between systems", () => {
  it("are to the best of the other's ways with as many clients", () => {
    const rows = [
      { system: "ours", clients: 1, QPS: 30 },
      { system: "theirs", clients: 1, QPS: 10 },
      { system: "theirs", clients: 1, QPS: 15 },
      { system: "ours", clients: 8, QPS: 30 },
    ];
    const ratios = withRatio(rows, "theirs", "QPS").map((row) => row["to theirs"]);
    assert.deepEqual(ratios, [2, 10 / 15, 1, undefined]);
  });
});

describe("a load in the process", () => {
  it("keeps as many questions open as there are callers", async () => {
    let open = 0;
    let most = 0;
    const query = async () => {
      most = Math.max(most, ++open);
      await new Promise((resolve) => setTimeout(resolve, 5));
      open--;
    };
    const { requests, p50 } = await loadInProcess(query, 3, { warmUpMs: 0, durationMs: 100 });
    assert.equal(most, 3);
    assert.ok(requests >= 3 && p50 >= 4, `${requests} requests of ${p50} ms`);
  });
});

describe("a server of another system", () => {
  it("that does not start counts as not installed, with what it said", async () => {
    const command = [process.execPath, "-e", "console.error('no such library'); process.exit(3)"];
    const never = async () => false;
    await assert.rejects(startServer(command, 1, never, "SIGTERM"), (error: Error) => {
      assert.ok(error instanceof NotInstalled);
      assert.match(error.message, /no such library/);
      return true;
    });
    await assert.rejects(startServer(["/no/such/program"], 1, never, "SIGTERM"), NotInstalled);
  });
});

const versions = existsSync("/usr/lib/postgresql") ? readdirSync("/usr/lib/postgresql") : [];
const programs = `/usr/lib/postgresql/${versions[0]}/bin`;
const skip = existsSync(`${programs}/initdb`) ? false : "no PostgreSQL in /usr/lib/postgresql";

describe("the load on PostgreSQL", { skip }, () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "attune-postgres-"));
  const data = path.join(folder, "data");
  let server: PeerServer;
  before(async () => {
    if (process.getuid?.() === 0) chownSync(folder, userId("postgres"), -1);
    const [program = "", ...args] = asPostgres(undefined, [
      `${programs}/initdb`,
      "-D",
      data,
      "-A",
      "trust",
      "-U",
      "me",
    ]);
    const made = spawnSync(program, args, { encoding: "utf8" });
    assert.equal(made.status, 0, made.stderr);
    const port = await freePort();
    const settings = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="];
    const command = asPostgres(undefined, [`${programs}/postgres`, "-D", data, "-p", String(port), ...settings]);
    const isReady = (at: number) => PostgresConnection.open("127.0.0.1", at, "me").then(closed, () => false);
    server = await startServer(command, port, isReady, "SIGINT");
  });
  after(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  });

  it("executes a statement with each line, as text or binary, and counts what is refused", async () => {
    const connection = await PostgresConnection.open("127.0.0.1", server.port, "me");
    await connection.query("CREATE TABLE seen (value int4)");
    const load = async (lines: string[], statement: string | undefined, binary: boolean) => {
      const bodies = path.join(folder, "lines");
      writeFileSync(bodies, `${lines.join("\n")}\n`);
      const postgres = { user: "me", setup: ["SET lock_timeout = 1000"], statement, binary };
      const task = { postgres, bodies, clients: 2, once: true, warmUpMs: 0, durationMs: 0 };
      return runLoad(`http://127.0.0.1:${server.port}`, task);
    };
    const insert = "INSERT INTO seen VALUES ($1::int4)";
    const asText = await load(["1", "2", "three"], insert, false);
    assert.deepEqual([asText.requests, asText.failures], [2, 1]);
    const seven = Buffer.from([0, 0, 0, 7]).toString("base64");
    assert.equal((await load([seven], insert, true)).requests, 1);
    assert.equal((await load(["INSERT INTO seen VALUES (40), (41)"], undefined, false)).requests, 1);
    const rows = await connection.query("SELECT value, NULL FROM seen ORDER BY value");
    assert.deepEqual(
      rows,
      [1, 2, 7, 40, 41].map((value) => [String(value), ""]),
    );
    await assert.rejects(connection.query("SELECT nothing"), /column "nothing" does not exist/);
    await assert.rejects(connection.prepare("SELECT nothing"), /column "nothing" does not exist/);
    connection.close();
  });

  it("tells why the server does not let somebody in", async () => {
    await assert.rejects(PostgresConnection.open("127.0.0.1", server.port, "nobody"), /role "nobody" does not exist/);
  });
});

function closed(connection: PostgresConnection): boolean {
  connection.close();
  return true;
}

function userId(name: string): number {
  return Number(spawnSync("id", ["-u", name], { encoding: "utf8" }).stdout);
}

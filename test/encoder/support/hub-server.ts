import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";

type Files = Record<string, Uint8Array>;

export interface Seen {
  url: string;
  range: string | undefined;
  authorization: string | undefined;
}

const PAGE = 3;

/**
 * A hub on the loopback interface with one repository: the routes for a revision, for the tree (in pages), and for files
 * with ranges. Files named *.onnx are kept as LFS: the hub sends the client on to a second server, as the real one does.
 */
export class HubServer {
  readonly requests: Seen[] = [];
  /** Bytes after which the next answers with a file break off; one entry an answer. */
  breaks: number[] = [];
  /** Whether a file server heeds ranges. */
  ranges = true;
  /** Set: the hub wants this token. */
  token: string | undefined;
  /** The content really sent for a path, where it is not what the tree promises. */
  readonly damaged: Files = {};
  private constructor(
    readonly endpoint: string,
    private readonly contentEndpoint: string,
    readonly repository: string,
    readonly revisions: Map<string, { commit: string; files: Files }>,
    private readonly stop: () => Promise<void>,
  ) {}

  static async start(t: TestContext, repository: string, files: Files): Promise<HubServer> {
    const commit = createHash("sha1").update("first").digest("hex");
    let hub: HubServer | undefined;
    const listen = async (answer: (hub: HubServer, request: IncomingMessage, response: ServerResponse) => void) => {
      const server = createServer((request, response) => hub && answer(hub, request, response));
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      const close = async () => {
        if (!server.listening) return;
        server.closeAllConnections();
        server.close();
        await once(server, "close");
      };
      return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
    };
    const main = await listen((self, request, response) => self.#answer(request, response));
    const content = await listen((self, request, response) => self.#answerContent(request, response));
    const stop = async () => {
      await main.close();
      await content.close();
    };
    hub = new HubServer(main.url, content.url, repository, new Map([["main", { commit, files }]]), stop);
    t.after(stop);
    return hub;
  }

  /** Takes the hub off the net. */
  async close(): Promise<void> {
    await this.stop();
  }

  get commit(): string {
    return this.revisions.get("main")!.commit;
  }

  #log(request: IncomingMessage): void {
    const { range, authorization } = request.headers;
    this.requests.push({ url: request.url ?? "", range, authorization });
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    this.#log(request);
    if (this.token !== undefined && request.headers.authorization !== `Bearer ${this.token}`) {
      this.#error(response, 401, "Invalid username or password.");
      return;
    }
    const url = new URL(request.url ?? "", this.endpoint);
    const api = `/api/models/${this.repository}`;
    if (url.pathname.startsWith(`${api}/revision/`)) {
      this.#revision(response, decodeURIComponent(url.pathname.slice(`${api}/revision/`.length)));
      return;
    }
    if (url.pathname.startsWith(`${api}/tree/`)) {
      this.#tree(response, url.pathname.slice(`${api}/tree/`.length), url);
      return;
    }
    const file = url.pathname.match(new RegExp(`^/${this.repository}/resolve/([0-9a-f]{40})/(.+)$`));
    if (file === null) {
      this.#error(response, 404, "Repository not found");
      return;
    }
    const [, commit, path] = file;
    if (path!.endsWith(".onnx")) {
      response.writeHead(302, { location: `${this.contentEndpoint}/${commit}/${path}?signature=abc` }).end();
    } else this.#send(request, response, commit!, path!);
  }

  #answerContent(request: IncomingMessage, response: ServerResponse): void {
    this.#log(request);
    const [commit, ...path] = new URL(request.url ?? "", this.endpoint).pathname.slice(1).split("/");
    this.#send(request, response, commit!, path.join("/"));
  }

  #filesAt(commit: string): Files | undefined {
    return [...this.revisions.values()].find((revision) => revision.commit === commit)?.files;
  }

  #revision(response: ServerResponse, name: string): void {
    const found = this.revisions.get(name);
    if (found === undefined) {
      this.#error(response, 404, `Invalid rev id: ${name}`);
      return;
    }
    const info = {
      _id: "1",
      id: this.repository,
      sha: found.commit,
      private: false,
      gated: false,
      downloads: 0,
      likes: 0,
    };
    this.#json(response, { ...info, lastModified: "2026-01-01T00:00:00.000Z" });
  }

  #tree(response: ServerResponse, commit: string, url: URL): void {
    const files = this.#filesAt(commit);
    if (files === undefined) {
      this.#error(response, 404, `Invalid rev id: ${commit}`);
      return;
    }
    const entries = Object.entries(files).map(([path, content]) => describe(path, content));
    const start = Number(url.searchParams.get("cursor") ?? 0);
    if (start + PAGE < entries.length) {
      url.searchParams.set("cursor", String(start + PAGE));
      response.setHeader("Link", `<${url.href}>; rel="next"`);
    }
    this.#json(response, entries.slice(start, start + PAGE));
  }

  #send(request: IncomingMessage, response: ServerResponse, commit: string, path: string): void {
    const content = this.damaged[path] ?? this.#filesAt(commit)?.[path];
    if (content === undefined) {
      this.#error(response, 404, "Entry not found");
      return;
    }
    const asked = this.ranges ? request.headers.range?.match(/^bytes=(\d+)-$/) : undefined;
    const start = Number(asked?.[1] ?? 0);
    const rest = content.subarray(start);
    const headers: Record<string, string | number> = { "content-length": rest.length, etag: '"x"' };
    if (asked) headers["content-range"] = `bytes ${start}-${content.length - 1}/${content.length}`;
    response.writeHead(asked ? 206 : 200, headers);
    const limit = path.endsWith(".onnx") ? this.breaks.shift() : undefined;
    if (limit === undefined) response.end(rest);
    // Destroyed only when these bytes are on their way, so that the client really gets them.
    else response.write(rest.subarray(0, limit), () => setTimeout(() => response.destroy(), 20));
  }

  #json(response: ServerResponse, value: unknown): void {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(value));
  }

  #error(response: ServerResponse, status: number, error: string): void {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify({ error }));
  }
}

function describe(path: string, content: Uint8Array): object {
  const oid = createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");
  const entry = { type: "file", path, size: content.length, oid };
  if (!path.endsWith(".onnx")) return entry;
  const sha256 = createHash("sha256").update(content).digest("hex");
  return { ...entry, lfs: { oid: sha256, size: content.length, pointerSize: 130 } };
}

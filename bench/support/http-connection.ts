import net from "node:net";
import type { Connection } from "./connection.js";

const HEADER_END = Buffer.from("\r\n\r\n");

/** A request as it goes over the wire. */
export function wireRequest(host: string, path: string, body: Buffer, contentType = "application/json"): Buffer {
  const head = `POST ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: ${contentType}\r\nContent-Length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

/**
 * A kept connection that sends requests prepared beforehand and reads only status and length of the answers. Client and
 * server share the cores, and Node's own HTTP client would take a good part of them.
 */
export class HttpConnection implements Connection {
  readonly #socket: net.Socket;
  #received: Buffer[] = [];
  #length = 0;
  /** Bytes of the whole answer, once its header is there. */
  #expected = 0;
  #status = 0;
  #settle: { resolve: (status: number) => void; reject: (error: Error) => void } | undefined;

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk) => this.#take(chunk));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("the server closed the connection")));
  }

  static open(host: string, port: number): Promise<HttpConnection> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ host, port });
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        resolve(new HttpConnection(socket));
      });
    });
  }

  /** Sends one request and resolves with the answer's status; one at a time. */
  send(request: Buffer): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#settle = undefined;
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#received.push(chunk);
    this.#length += chunk.length;
    if (this.#expected === 0) this.#readHeader();
    if (this.#expected === 0 || this.#length < this.#expected) return;
    const settle = this.#settle;
    const status = this.#status;
    this.#received = [];
    this.#length = 0;
    this.#expected = 0;
    this.#settle = undefined;
    settle?.resolve(status);
  }

  #readHeader(): void {
    const bytes = this.#received.length === 1 ? this.#received[0] : Buffer.concat(this.#received);
    const end = bytes?.indexOf(HEADER_END) ?? -1;
    if (bytes === undefined || end === -1) return;
    const header = bytes.toString("latin1", 0, end);
    this.#status = Number(header.slice(9, 12));
    const length = /\r\ncontent-length: *(\d+)/i.exec(header);
    if (length === null) throw new Error(`an answer without Content-Length:\n${header}`);
    this.#expected = end + HEADER_END.length + Number(length[1]);
  }

  #fail(error: Error): void {
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.reject(error);
  }
}

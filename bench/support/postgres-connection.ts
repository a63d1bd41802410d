import net from "node:net";
import type { Connection } from "./connection.js";

const STATEMENT = "bench";

/** Statement in the extended protocol with one parameter, given as text or in the type's binary form. */
export function executeRequest(parameter: Buffer, binary: boolean): Buffer {
  const formats = [int16(1), int16(binary ? 1 : 0)];
  const bind = message("B", [
    text(""),
    text(STATEMENT),
    ...formats,
    int16(1),
    int32(parameter.length),
    parameter,
    int16(0),
  ]);
  return Buffer.concat([bind, message("E", [text(""), int32(0)]), message("S", [])]);
}

/** Any SQL in the simple protocol. */
export function sqlRequest(sql: string): Buffer {
  return message("Q", [text(sql)]);
}

/**
 * A connection in PostgreSQL's frontend/backend protocol 3.0, for a server that trusts its clients. Like HttpConnection it
 * sends requests prepared beforehand and reads little of the answers, so that the measuring takes little of the cores.
 */
export class PostgresConnection implements Connection {
  readonly #socket: net.Socket;
  #received: Buffer = Buffer.alloc(0);
  #rows: string[][] = [];
  #error: string | undefined;
  #settle: { resolve: () => void; reject: (error: Error) => void } | undefined;

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk) => this.#take(chunk));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("the server closed the connection")));
  }

  static async open(host: string, port: number, user: string): Promise<PostgresConnection> {
    const socket = net.connect({ host, port });
    const connection = new PostgresConnection(socket);
    const parameters = [text("user"), text(user), text("database"), text("postgres"), text("")];
    await connection.#exchange(framed([int32(196_608), ...parameters]));
    return connection;
  }

  /** @throws Error with the server's message. */
  async query(sql: string): Promise<string[][]> {
    this.#rows = [];
    await this.#exchange(sqlRequest(sql));
    if (this.#error !== undefined) throw new Error(`${this.#error}, for ${sql.slice(0, 100)}`);
    return this.#rows;
  }

  /** Names the statement that `executeRequest` executes. */
  async prepare(sql: string): Promise<void> {
    const parse = message("P", [text(STATEMENT), text(sql), int16(0)]);
    await this.#exchange(Buffer.concat([parse, message("S", [])]));
    if (this.#error !== undefined) throw new Error(this.#error);
  }

  async send(request: Buffer): Promise<number> {
    this.#rows = [];
    await this.#exchange(request);
    return this.#error === undefined ? 200 : 500;
  }

  close(): void {
    this.#settle = undefined;
    this.#socket.destroy();
  }

  #exchange(bytes: Buffer): Promise<void> {
    this.#error = undefined;
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
      this.#socket.write(bytes);
    });
  }

  /** A message is a letter, its length without the letter, and its content. */
  #take(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    let at = 0;
    while (this.#received.length - at >= 5) {
      const end = at + 1 + this.#received.readInt32BE(at + 1);
      if (end > this.#received.length) break;
      this.#read(String.fromCharCode(this.#received[at] ?? 0), this.#received.subarray(at + 5, end));
      at = end;
    }
    this.#received = this.#received.subarray(at);
  }

  #read(type: string, content: Buffer): void {
    if (type === "D") this.#rows.push(readRow(content));
    else if (type === "E") this.#error = readError(content);
    if (type === "R" && content.readInt32BE(0) !== 0) this.#fail(new Error("the server asks for a password"));
    // Before it is ready for the first time, an error ends the connection.
    if (type !== "Z") return;
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.resolve();
  }

  #fail(error: Error): void {
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.reject(this.#error === undefined ? error : new Error(this.#error));
  }
}

/** Values as text; NULL is empty. */
function readRow(content: Buffer): string[] {
  let at = 2;
  return Array.from({ length: content.readInt16BE(0) }, () => {
    const length = content.readInt32BE(at);
    const start = at + 4;
    at = start + Math.max(0, length);
    return content.toString("utf8", start, at);
  });
}

/** The message among the fields of an error, each a letter and a text that ends with 0. */
function readError(content: Buffer): string {
  const fields = content.toString("utf8").split("\0");
  return fields.find((field) => field.startsWith("M"))?.slice(1) ?? "unknown error";
}

function message(type: string, parts: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.from(type, "latin1"), framed(parts)]);
}

function framed(parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([int32(content.length + 4), content]);
}

function text(value: string): Buffer {
  return Buffer.from(`${value}\0`);
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

/** A kept connection to a server under load; one request at a time. */
export interface Connection {
  /** Sends bytes prepared beforehand and resolves with the answer's status as HTTP has it: 200 to 299 is well. */
  send(request: Buffer): Promise<number>;
  close(): void;
}

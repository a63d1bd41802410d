import { MessageChannel } from "node:worker_threads";

/** Smaller arrays are left to the garbage collector. */
const MIN_BYTES = 4096;

/** A port whose other end is closed: what is sent goes nowhere. */
const nowhere = closedPort();

function closedPort() {
  const { port1, port2 } = new MessageChannel();
  port2.close();
  port1.unref();
  return port1;
}

/**
 * Gives an array's memory back now; the array is empty afterwards. V8 counts the memory of arrays outside its heap, but frees it only when
 * it collects garbage: of what flows through at 50 MB a second it collects the whole heap several times a second, 10 ms each, and getting
 * 64 KiB takes 15 us instead of 2. So arrays that are known to be done with are sent away: a buffer in a message's list of transfers leaves
 * its sender, whether somebody receives it or not (HTML, "message port post message steps").
 *
 * @param array all of its buffer, else nothing happens; nobody may use it, nor another view of it, any more
 */
export function freeArray({ buffer, byteLength }: Uint8Array | Float32Array): void {
  if (byteLength < MIN_BYTES || byteLength !== buffer.byteLength || !(buffer instanceof ArrayBuffer)) return;
  nowhere.postMessage(undefined, [buffer]);
}

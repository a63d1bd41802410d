import { parentPort, workerData } from "node:worker_threads";
import { AttuneError } from "../../errors/index.js";
import { openTokenizer } from "../tokenizers/open-tokenizer.js";
import { EncodeQueue } from "./encode-queue.js";
import { type EncoderWorkerData, type FromWorker, type ToWorker, toWire } from "./protocol.js";
import { TextModel } from "./text-model.js";

const port = parentPort;
if (port === null) throw new Error("encoder-worker.js runs as a worker thread only");

function post(message: FromWorker, transfer: ArrayBuffer[] = []): void {
  port?.postMessage(message, transfer);
}

async function start(data: EncoderWorkerData): Promise<{ queue: EncodeQueue; model: TextModel }> {
  const tokenizer = await openTokenizer(data.model);
  const model = await TextModel.open(data.model, tokenizer, {
    provider: data.provider,
    threads: data.threads,
    log: (message) => post({ type: "log", message }),
  });
  const queue = new EncodeQueue(tokenizer, model, {
    onEncoded: (id, vectors, counts) =>
      post({ type: "encoded", id, vectors, ...counts }, [vectors.buffer as ArrayBuffer]),
    onFailed: (id, error) => post({ type: "refused", id, error: toWire(error, `The encoder ${data.model.id} failed`) }),
  });
  return { queue, model };
}

async function close(queue: EncodeQueue, model: TextModel): Promise<void> {
  const error = toWire(new AttuneError("shutting_down", "The encoder was closed before it came to these texts."), "");
  for (const id of await queue.drain()) post({ type: "refused", id, error });
  await model.close();
  port?.close();
}

try {
  const { queue, model } = await start(workerData as EncoderWorkerData);
  port.on("message", (message: ToWorker) => {
    if (message.type === "encode") queue.add(message);
    else if (message.type === "cancel") queue.cancel(message.id);
    else void close(queue, model);
  });
  post({ type: "ready", provider: model.provider, dimensions: model.dimensions, pooling: model.pooling });
} catch (error) {
  const { id } = (workerData as EncoderWorkerData).model;
  post({ type: "failed", error: toWire(error, `The encoder ${id} cannot be used`) });
  port.close();
}

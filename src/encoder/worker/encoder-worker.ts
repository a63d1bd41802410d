import { parentPort, workerData } from "node:worker_threads";
import { AttuneError } from "../../errors/index.js";
import type { ModelDescription } from "../model-description.js";
import { EncodeQueue } from "./encode-queue.js";
import { EncoderModel } from "./encoder-model.js";
import { type EncoderWorkerData, type FromWorker, type ToWorker, toWire } from "./protocol.js";

const port = parentPort;
if (port === null) throw new Error("encoder-worker.js runs as a worker thread only");

function post(message: FromWorker, transfer: ArrayBuffer[] = []): void {
  port?.postMessage(message, transfer);
}

interface Models {
  main: EncoderModel;
  /** Texts of a CLIP pair. */
  text?: EncoderModel;
}

async function openModels({ model, provider, threads }: EncoderWorkerData): Promise<Models> {
  const open = (description: ModelDescription) =>
    EncoderModel.open(description, { provider, threads, log: (message) => post({ type: "log", message }) });
  const main = await open(model);
  if (model.modality === "text" || model.textTower === undefined) return { main };
  const text = await open(model.textTower).catch(async (error) => {
    await main.close();
    throw error;
  });
  if (text.dimensions === main.dimensions) return { main, text };
  await Promise.all([main.close(), text.close()]);
  throw new AttuneError(
    "invalid_encoder",
    `${model.modelPath} gives ${main.dimensions} dimensions and ${model.textTower.modelPath} ${text.dimensions}: texts and images would not lie in one space.`,
  );
}

function openQueue({ model }: EncoderWorkerData, { main, text }: Models): EncodeQueue {
  const models = model.modality === "text" ? { text: main } : { image: main, ...(text && { text }) };
  return new EncodeQueue(models, {
    onEncoded: (id, vectors, counts) =>
      post({ type: "encoded", id, vectors, ...counts }, [vectors.buffer as ArrayBuffer]),
    onFailed: (id, error) => post({ type: "refused", id, error: toWire(error, `The encoder ${model.id} failed`) }),
  });
}

async function close(queue: EncodeQueue, { main, text }: Models): Promise<void> {
  const error = toWire(new AttuneError("shutting_down", "The encoder was closed before it came to these inputs."), "");
  for (const id of await queue.drain()) post({ type: "refused", id, error });
  await main.close();
  await text?.close();
  port?.close();
}

const data = workerData as EncoderWorkerData;
try {
  const models = await openModels(data);
  const queue = openQueue(data, models);
  port.on("message", (message: ToWorker) => {
    if (message.type === "encode") queue.add(message);
    else if (message.type === "cancel") queue.cancel(message.id);
    else void close(queue, models);
  });
  const { provider, dimensions, pooling } = models.main;
  post({ type: "ready", provider, dimensions, pooling });
} catch (error) {
  post({ type: "failed", error: toWire(error, `The encoder ${data.model.id} cannot be used`) });
  port.close();
}

import type { Modality, Payload } from "../../../schemas/index.js";
import { AttuneError } from "../../errors/index.js";
import { type Metric, readVector } from "../../vector/index.js";
import type { Limits } from "../limits.js";
import { slices } from "../slices.js";
import type { GivenItem } from "./given.js";
import { type ImageContent, readImage } from "./image-content.js";

/** What an item is made of once it was found good: one of `text`, `image` and `vector`. */
export interface ItemContent {
  id: string;
  text?: string;
  image?: ImageContent;
  vector?: Float32Array;
  payload: Payload | null;
}

export interface ContentRules {
  modality: Modality;
  /** What the collection's encoder reads; neither in a collection of vectors. */
  accepts: { readonly text: boolean; readonly image: boolean };
  dimensions: number;
  metric: Metric;
  limits: Limits;
}

/** Whether the collection's encoder reads what is asked for. @throws no_encoder, wrong_modality */
export function checkAccepted(kind: "text" | "image", { modality, accepts }: ContentRules): void {
  if (accepts[kind]) return;
  if (modality === "vector") {
    throw new AttuneError(
      "no_encoder",
      `This collection holds vectors and has no encoder to read ${kind === "text" ? "texts" : "images"}; send "vector" or "itemId".`,
    );
  }
  const advice =
    kind === "text"
      ? `reads images alone; send "image", "vector" or "itemId", or make a collection whose encoder is a CLIP pair`
      : `reads texts alone; send "text", "vector" or "itemId"`;
  throw new AttuneError("wrong_modality", `The encoder of this ${modality} collection ${advice}.`);
}

/** At most 4 bytes of UTF-8 a character, so an id fits any store's key. */
const MAX_ID_CHARACTERS = 256;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/**
 * An item id: 1 to 256 Unicode characters, no control characters or lone surrogates, not `.` or `..`.
 * @throws invalid_id
 */
export function checkItemId(id: string): void {
  const reason = idFault(id);
  if (reason === undefined) return;
  throw new AttuneError(
    "invalid_id",
    `The id ${JSON.stringify(id.slice(0, 80))} ${reason}. An id has 1 to 256 Unicode characters, no control characters, and is not "." or "..".`,
  );
}

function idFault(id: string): string | undefined {
  if (id === "") return "is empty";
  if (id === "." || id === "..") return "would be lost in a path";
  if (!id.isWellFormed()) return "has a lone surrogate";
  if (CONTROL.test(id)) return "has a control character";
  if (id.length > MAX_ID_CHARACTERS && [...id].length > MAX_ID_CHARACTERS) return `has ${[...id].length} characters`;
  return undefined;
}

/** @throws empty_text, invalid_text */
export function checkText(text: string): void {
  if (text.trim() === "")
    throw new AttuneError("empty_text", "The text is empty or only white space; send some words.");
  if (!text.isWellFormed()) {
    throw new AttuneError(
      "invalid_text",
      "The text has a lone surrogate, which UTF-8 cannot hold; send well-formed Unicode.",
    );
  }
}

/**
 * Checks one item of an upsert; whether an image can be decoded shows when it is embedded.
 * @throws invalid_id, wrong_modality, empty_text, invalid_text, invalid_image, wrong_dimensions, not_finite, zero_vector,
 *   invalid_vector, payload_too_large
 */
export function readItem(input: GivenItem, rules: ContentRules): ItemContent {
  checkItemId(input.id);
  const payload = readPayload(input.payload, rules.limits);
  checkContentFields(input, rules.modality);
  const { id, text, image, vector } = input;
  if (text !== undefined) {
    checkText(text);
    return { id, text, payload };
  }
  if (image !== undefined) return { id, image: readImage(image), payload };
  return { id, vector: readVector(vector ?? [], rules.dimensions, rules.metric), payload };
}

/** @throws wrong_modality unless the one content that is given is that of the modality */
function checkContentFields(input: GivenItem, modality: Modality): void {
  const given = CONTENT_FIELDS.filter((field) => input[field] !== undefined);
  if (given.length === 1 && given[0] === modality) return;
  throw new AttuneError(
    "wrong_modality",
    `An item of ${anOrA(modality)} collection has the field "${modality}" and no other content; this one has ${given.length === 0 ? "none" : given.map((field) => `"${field}"`).join(" and ")}.`,
  );
}

const CONTENT_FIELDS = ["text", "image", "vector"] as const;

/** The modality with its article, for messages. */
export function anOrA(modality: Modality): string {
  return modality === "image" ? "an image" : `a ${modality}`;
}

/** Deeper values could be stored but not read: every step that walks them needs stack. */
const MAX_PAYLOAD_DEPTH = 100;

/** @throws payload_too_large, validation_failed */
export function readPayload(payload: Payload | undefined, limits: Limits): Payload | null {
  if (payload === undefined) return null;
  checkValue(payload, MAX_PAYLOAD_DEPTH);
  const bytes = Buffer.byteLength(JSON.stringify(payload));
  if (bytes > limits.payloadBytes) {
    throw new AttuneError(
      "payload_too_large",
      `The payload is ${bytes} bytes as JSON; at most ${limits.payloadBytes} are allowed. Keep large content elsewhere and its address here.`,
    );
  }
  return payload;
}

/** @throws payload_too_large nested too deeply; validation_failed a number that JSON cannot write again */
function checkValue(value: unknown, levels: number): void {
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw new AttuneError("validation_failed", "The payload has a number too large for float64; send finite numbers.");
  }
  if (typeof value !== "object" || value === null) return;
  if (levels === 0) {
    throw new AttuneError(
      "payload_too_large",
      `The payload is nested more than ${MAX_PAYLOAD_DEPTH} levels deep; flatten it.`,
    );
  }
  for (const inner of Object.values(value)) checkValue(inner, levels - 1);
}

/**
 * Checks a whole batch, in slices, before anything of it is stored.
 * @throws batch_too_large, duplicate_id, and what `readItem` throws, with the place in `details`
 */
export async function readBatch(items: readonly GivenItem[], rules: ContentRules): Promise<ItemContent[]> {
  checkBatchSize(items.length, rules.limits.itemsPerBatch, "items");
  const seen = new Map<string, number>();
  const contents: ItemContent[] = [];
  for (const [position, input] of items.entries()) {
    while (slices.over) await slices.next();
    const earlier = seen.get(input.id);
    if (earlier !== undefined) {
      throw new AttuneError(
        "duplicate_id",
        `The id ${JSON.stringify(input.id.slice(0, 80))} stands at ${earlier} and at ${position} of one batch; send each id once. Nothing was stored.`,
        { details: [{ path: `/items/${position}/id`, message: `the same as /items/${earlier}/id` }] },
      );
    }
    seen.set(input.id, position);
    try {
      contents.push(readItem(input, rules));
    } catch (error) {
      throw placed(error, `/items/${position}`);
    }
  }
  return contents;
}

/** The same refusal of a batch to be stored, saying where in the batch it is. */
export function placed(error: unknown, path: string): unknown {
  return at(error, path, `at ${path}; nothing of the batch was stored`);
}

/** The same refusal, saying in which query of a batch it is. */
export function placedQuery(error: unknown, position: number): unknown {
  const path = `/queries/${position}`;
  return at(error, path, `at ${path}`);
}

function at(error: unknown, path: string, note: string): unknown {
  if (!(error instanceof AttuneError)) return error;
  const details = error.details ?? [{ path: "", message: error.message }];
  return new AttuneError(error.code, `${error.message} (${note})`, {
    details: details.map((detail) => ({ ...detail, path: `${path}${detail.path}` })),
    cause: error,
  });
}

/** @throws batch_too_large */
export function checkBatchSize(count: number, most: number, what: string): void {
  if (count <= most) return;
  throw new AttuneError(
    "batch_too_large",
    `The batch has ${count} ${what}; at most ${most} fit in one. Send several batches.`,
  );
}

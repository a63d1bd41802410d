import { type Content, contentHash } from "../../../storage/index.js";
import { AttuneError } from "../../errors/index.js";
import { FORMAT_NAMES, formatOf } from "../../image/index.js";

/** An image file as it came, not decoded yet. */
export interface ImageContent extends Content {
  /** Media type, told from the bytes. */
  type: string;
}

const DATA_ADDRESS = /^data:image\/[a-z0-9.+-]+;base64,/i;

/**
 * Reads the base64 of an image; the head of a `data:` address before it is passed over, as the bytes say what they are.
 * @throws invalid_image when it is not strict base64, or of no known format
 */
export function readImage(text: string): ImageContent {
  const [head = ""] = DATA_ADDRESS.exec(text.slice(0, 100)) ?? [];
  const bytes = readBase64(text.slice(head.length));
  const format = formatOf(bytes);
  if (format !== undefined) return { bytes, type: format.mediaType, hash: contentHash(bytes) };
  throw new AttuneError(
    "invalid_image",
    `The ${bytes.length} bytes are not an image of a format that is read: ${FORMAT_NAMES}. Send such a file as base64.`,
  );
}

/** @throws invalid_image unless the text is base64 of RFC 4648 and nothing else: Buffer.from alone passes over what it does not know */
function readBase64(text: string): Buffer {
  const bytes = Buffer.from(text, "base64");
  const encoded = bytes.toString("base64");
  if (text !== "" && (text === encoded || text === encoded.replace(/=+$/, ""))) return bytes;
  throw new AttuneError("invalid_image", `The image is ${faultOf(text)}; send the file's bytes as base64.`);
}

function faultOf(text: string): string {
  if (text === "") return "empty";
  if (/^(https?|file):/i.test(text)) return "an address, and this server fetches none";
  const at = text.search(/[^A-Za-z0-9+/]/);
  const padding = at >= 0 && /^={1,2}$/.test(text.slice(at));
  if (at < 0 || padding) return "cut off, or its base64 is not padded as it should be";
  return `not base64: it has ${JSON.stringify(text.charAt(at))} at character ${at}`;
}

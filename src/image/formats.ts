/** A format that is read, by the first bytes of its files. */
export interface ImageFormat {
  name: "jpeg" | "png" | "webp" | "gif" | "avif" | "tiff";
  mediaType: string;
}

const FORMATS: readonly (ImageFormat & { matches: (bytes: Uint8Array) => boolean })[] = [
  { name: "jpeg", mediaType: "image/jpeg", matches: startsWith(0xff, 0xd8, 0xff) },
  { name: "png", mediaType: "image/png", matches: startsWith(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a) },
  { name: "gif", mediaType: "image/gif", matches: (bytes) => /^GIF8[79]a$/.test(ascii(bytes, 0, 6)) },
  {
    name: "webp",
    mediaType: "image/webp",
    matches: (bytes) => ascii(bytes, 0, 4) === "RIFF" && ascii(bytes, 8, 12) === "WEBP",
  },
  {
    name: "avif",
    mediaType: "image/avif",
    // The brands of a file type box (ISO/IEC 14496-12): the major one, a version, then the compatible ones.
    matches: (bytes) => ascii(bytes, 4, 8) === "ftyp" && /avi[fs]/.test(ascii(bytes, 8, 64)),
  },
  {
    name: "tiff",
    mediaType: "image/tiff",
    matches: (bytes) =>
      [0x2a, 0x2b].some((kind) => startsWith(0x49, 0x49, kind, 0)(bytes) || startsWith(0x4d, 0x4d, 0, kind)(bytes)),
  },
];

/** For people: what may be sent. */
export const FORMAT_NAMES = "JPEG, PNG, WebP, GIF, AVIF and TIFF";

/**
 * The format of a file by its first bytes, whatever its name; undefined for any other. SVG is not among them on purpose: it is a
 * program that draws, may refer to other files, and has no size of its own.
 */
export function formatOf(bytes: Uint8Array): ImageFormat | undefined {
  const found = FORMATS.find(({ matches }) => matches(bytes));
  return found && { name: found.name, mediaType: found.mediaType };
}

function startsWith(...prefix: number[]) {
  return (bytes: Uint8Array) => prefix.every((byte, at) => bytes[at] === byte);
}

function ascii(bytes: Uint8Array, start: number, end: number): string {
  return String.fromCharCode(...bytes.subarray(start, end));
}

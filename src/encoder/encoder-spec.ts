import { AttuneError } from "../errors/index.js";

export type EncoderSpec =
  | { kind: "built-in"; name: "use-lite" | "patch-cnn" }
  | { kind: "file"; directory: string }
  | { kind: "hub"; repository: string; revision: string };

const FORMS = "use-lite, patch-cnn, file:DIRECTORY, hf:ORGANISATION/REPOSITORY[@REVISION]";
/** One path segment of a hub repository name, as the hub itself allows. */
const HUB_SEGMENT = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?$/;
const HUB_REVISION = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$/;

/**
 * Reads an encoder specification.
 * @throws unknown_encoder for anything that is not one of the forms.
 */
export function parseEncoderSpec(spec: string): EncoderSpec {
  if (spec === "use-lite" || spec === "patch-cnn") return { kind: "built-in", name: spec };
  if (spec.startsWith("file:") && spec.length > "file:".length) {
    return { kind: "file", directory: spec.slice("file:".length) };
  }
  if (spec.startsWith("hf:")) return parseHubSpec(spec);
  throw new AttuneError("unknown_encoder", `There is no encoder "${spec}". Encoders are written as: ${FORMS}.`);
}

function parseHubSpec(spec: string): EncoderSpec {
  const [repository = "", revision = "main", ...rest] = spec.slice("hf:".length).split("@");
  const segments = repository.split("/");
  const nameFits = segments.length === 2 && segments.every((segment) => HUB_SEGMENT.test(segment));
  const revisionFits = rest.length === 0 && HUB_REVISION.test(revision) && !revision.includes("..");
  if (!nameFits || !revisionFits) {
    throw new AttuneError(
      "unknown_encoder",
      `"${spec}" does not name a Hugging Face repository; write hf:ORGANISATION/REPOSITORY or hf:ORGANISATION/REPOSITORY@REVISION.`,
    );
  }
  return { kind: "hub", repository, revision };
}

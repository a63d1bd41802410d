/** Why a patch was not applied. */
export class PatchError extends Error {}

/**
 * A text with a unified diff of one file applied: each hunk's old lines become its new ones. Line numbers play no part,
 * and nothing is guessed: old lines that are not found exactly once refuse the whole diff.
 *
 * @throws {PatchError}
 */
export function applyPatch(text, diff) {
  const hunks = diff.split(/^@@ .* @@.*\n/m).slice(1);
  return hunks.reduce((patched, hunk, i) => {
    const parts = patched.split(linesOf(hunk, "-"));
    if (parts.length === 2) return parts.join(linesOf(hunk, "+"));
    throw new PatchError(`the old lines of change ${i + 1} of ${hunks.length} were found ${parts.length - 1} times`);
  }, text);
}

/** The lines of a hunk on its old side ("-") or its new one ("+"), those that stay among them. */
function linesOf(hunk, side) {
  const lines = hunk.split(/(?<=\n)/).filter((line) => line.startsWith(side) || line.startsWith(" "));
  return lines.map((line) => line.slice(1)).join("");
}

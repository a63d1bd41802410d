const SEGMENTER = new Intl.Segmenter("en", { granularity: "grapheme" });
/** Emoji shown as pictures, and the scripts whose characters take two columns. */
const WIDE =
  /\p{Emoji_Presentation}|\ufe0f|\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}|[\uff01-\uff60]/u;

/** Columns that a text takes on a terminal: two for emoji and East Asian characters. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const { segment } of SEGMENTER.segment(text)) width += WIDE.test(segment) ? 2 : 1;
  return width;
}

/** Pads with spaces to the given columns; longer texts stay as they are. */
export function padDisplay(text: string, width: number, side: "left" | "right" = "right"): string {
  const spaces = " ".repeat(Math.max(0, width - displayWidth(text)));
  return side === "left" ? spaces + text : text + spaces;
}

/** Cuts a text to the given columns, with "..." where something went. */
export function truncateDisplay(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let kept = "";
  for (const { segment } of SEGMENTER.segment(text)) {
    if (displayWidth(kept + segment) > width - 3) break;
    kept += segment;
  }
  return `${kept}...`;
}

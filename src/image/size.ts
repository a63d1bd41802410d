/** Whole pixels, at least 1 each. */
export interface Size {
  width: number;
  height: number;
}

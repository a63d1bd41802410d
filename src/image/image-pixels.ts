/** A decoded image: RGB, row by row from the top, 3 bytes a pixel. */
export interface ImagePixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** Height and width in pixels of the images that the net reads. */
export const IMAGE_SIZE = 48;
/** Subtracted from channel values of 0 to 1, and what the difference is divided by: from black, -2, to white, 2. */
export const PIXEL_MEAN = 0.5;
export const PIXEL_DEVIATION = 0.25;

/** Height and width of the filters of the first layer, which is applied at every second pixel. */
export const FILTER_SIZE = 5;
/** Channels of the two stages, which work on 12 x 12 and on 6 x 6 places. */
export const STAGE_CHANNELS = [48, 128] as const;
export const DIMENSIONS = 256;

/** Added to the mean energy that answers are divided by: flat parts of an image stay faint. */
export const CONTRAST_FLOOR = 0.1;
/** Of all that is random in the weights. */
export const SEED = 20261;

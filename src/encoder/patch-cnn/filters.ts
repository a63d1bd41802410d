import { FILTER_SIZE, STAGE_CHANNELS } from "./architecture.js";

/** Weights of red, green and blue: brightness, and the two opponent colours of the retina, red - green and yellow - blue. */
const COLOUR_AXES = {
  brightness: [1 / 3, 1 / 3, 1 / 3],
  redGreen: [0.6, -0.6, 0],
  yellowBlue: [0.3, 0.3, -0.6],
} as const;
type ColourAxis = readonly [number, number, number];

/** Of the Gaussian window of the filters, in pixels. */
const SIGMA = 1;
/** How much a filter for plain brightness or colour gives beside one for edges. */
const PLAIN_WEIGHT = 0.5;

/** A function of the place in the window, from its centre, in units of SIGMA. */
type Profile = (x: number, y: number) => number;

const edge =
  (angle: number): Profile =>
  (x, y) =>
    x * Math.cos(angle) + y * Math.sin(angle);
const line =
  (angle: number): Profile =>
  (x, y) =>
    edge(angle)(x, y) ** 2;
const spot: Profile = (x, y) => x * x + y * y;
const plain: Profile = () => 1;

/**
 * The filters of the first layer, (48, 3, 5, 5): Gaussian derivatives (Koenderink, van Doorn 1987) with both signs of each, because
 * what follows keeps positive answers alone.
 *
 * 16 directions of edges in brightness and 8 in each opponent colour; 4 directions of lines, light and dark; light and dark spots;
 * and the plain brightness and colours.
 */
export function firstFilters(): Float32Array {
  const { brightness, redGreen, yellowBlue } = COLOUR_AXES;
  const turn = (count: number, whole = 2 * Math.PI) => Array.from({ length: count }, (_, at) => (whole * at) / count);
  const bothSigns = [1, -1];
  const filters = [
    ...turn(16).map((angle) => filter(edge(angle), brightness)),
    ...[redGreen, yellowBlue].flatMap((axis) => turn(8).map((angle) => filter(edge(angle), axis))),
    ...turn(4, Math.PI).flatMap((angle) => bothSigns.map((sign) => filter(line(angle), brightness, sign))),
    ...bothSigns.map((sign) => filter(spot, brightness, sign)),
    ...Object.values(COLOUR_AXES).flatMap((axis) => bothSigns.map((sign) => filter(plain, axis, sign * PLAIN_WEIGHT))),
  ];
  const size = 3 * FILTER_SIZE ** 2;
  const data = new Float32Array(STAGE_CHANNELS[0] * size);
  for (const [at, values] of filters.entries()) data.set(values, at * size);
  return data;
}

/** Profile times window, of mean 0 unless it is plain, scaled to the sum of absolute values 2, for each channel of colour. */
function filter(profile: Profile, axis: ColourAxis, weight = 1): number[] {
  const centre = (FILTER_SIZE - 1) / 2;
  const window: number[] = [];
  const values: number[] = [];
  for (let row = 0; row < FILTER_SIZE; row++) {
    for (let column = 0; column < FILTER_SIZE; column++) {
      const [x, y] = [(column - centre) / SIGMA, (row - centre) / SIGMA];
      const gaussian = Math.exp(-(x * x + y * y) / 2);
      window.push(gaussian);
      values.push(profile(x, y) * gaussian);
    }
  }
  const sum = (list: readonly number[]) => list.reduce((total, value) => total + value, 0);
  const offset = profile === plain ? 0 : sum(values) / sum(window);
  const centred = values.map((value, at) => value - offset * (window[at] ?? 0));
  const scale = (2 * weight) / sum(centred.map(Math.abs));
  return axis.flatMap((share) => centred.map((value) => share * scale * value));
}

import { type Axis, axisFor } from "./axis.js";

export interface Point {
  x: number;
  y: number;
  /** A word beside the point. */
  label?: string;
}

export interface Series {
  name: string;
  points: readonly Point[];
}

export interface LinePlot {
  title: string;
  x: { label: string; scale: "linear" | "log" };
  y: { label: string; scale: "linear" | "log" };
  series: readonly Series[];
}

const WIDTH = 800;
const HEIGHT = 420;
const LEFT = 76;
const RIGHT = 560;
const TOP = 48;
const BOTTOM = 364;

/** Okabe and Ito's colours, which the colour-blind can tell apart. */
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#f0e442"];

/** Draws lines with a mark at every point, axes from the points' own range, and the series' names at the right; an SVG. */
export function drawLinePlot({ title, x, y, series }: LinePlot): string {
  const points = series.flatMap((each) => each.points);
  const across = axisFor(
    x.scale,
    points.map((point) => point.x),
    LEFT,
    RIGHT,
  );
  const up = axisFor(
    y.scale,
    points.map((point) => point.y),
    BOTTOM,
    TOP,
  );
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, sans-serif" font-size="12" fill="#333" role="img" aria-label="${escaped(title)}">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    `<text x="${LEFT}" y="26" font-size="15" font-weight="600">${escaped(title)}</text>`,
    ...across.ticks.map((tick) => verticalLine(tick, across)),
    ...up.ticks.map((tick) => horizontalLine(tick, up)),
    `<text x="${(LEFT + RIGHT) / 2}" y="${BOTTOM + 42}" text-anchor="middle">${escaped(x.label)}</text>`,
    `<text transform="translate(18 ${(TOP + BOTTOM) / 2}) rotate(-90)" text-anchor="middle">${escaped(y.label)}</text>`,
    ...series.flatMap((each, i) => drawSeries(each, i, across, up)),
    "</svg>",
  ];
  return `${parts.join("\n")}\n`;
}

function verticalLine(tick: number, axis: Axis): string {
  const at = axis.place(tick).toFixed(1);
  return `<path d="M${at} ${TOP}V${BOTTOM}" stroke="#e4e4e4"/><text x="${at}" y="${BOTTOM + 18}" text-anchor="middle">${tickText(tick)}</text>`;
}

function horizontalLine(tick: number, axis: Axis): string {
  const at = axis.place(tick);
  return `<path d="M${LEFT} ${at.toFixed(1)}H${RIGHT}" stroke="#e4e4e4"/><text x="${LEFT - 8}" y="${(at + 4).toFixed(1)}" text-anchor="end">${tickText(tick)}</text>`;
}

function drawSeries({ name, points }: Series, index: number, across: Axis, up: Axis): string[] {
  const colour = COLOURS[index % COLOURS.length] ?? "#000000";
  const placed = points.map(({ x, y, label }) => ({ x: across.place(x).toFixed(1), y: up.place(y).toFixed(1), label }));
  const legendAt = TOP + 8 + 20 * index;
  return [
    `<polyline points="${placed.map(({ x, y }) => `${x},${y}`).join(" ")}" fill="none" stroke="${colour}" stroke-width="2"/>`,
    ...placed.map(({ x, y }) => `<circle cx="${x}" cy="${y}" r="3.5" fill="${colour}"/>`),
    ...placed.flatMap(({ x, y, label }) =>
      label === undefined ? [] : [`<text x="${x}" y="${y}" dx="6" dy="-6" font-size="10">${escaped(label)}</text>`],
    ),
    `<path d="M${RIGHT + 14} ${legendAt}h18" stroke="${colour}" stroke-width="3"/><text x="${RIGHT + 38}" y="${legendAt + 4}">${escaped(name)}</text>`,
  ];
}

function tickText(value: number): string {
  return Number(value.toPrecision(6)).toLocaleString("en-US", { maximumFractionDigits: 6 });
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}

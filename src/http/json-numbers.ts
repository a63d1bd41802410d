import { hasNativeFunctions, hnswlib } from "../native/index.js";

const MINUS = 0x2d;
const PLUS = 0x2b;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COMMA = 0x2c;
/** Makes an E small. */
const LOWER = 0x20;
const SMALL_E = 0x65;

/** Powers of ten that float64 holds exactly. */
const MAX_SCALE = 22;
const POWERS = Float64Array.from({ length: MAX_SCALE + 1 }, (_, exponent) => 10 ** exponent);
/** Digits that are gathered in a float64: each beyond the 16th adds two roundings of 2^-53, so 25 stay below 2^-48. */
const MAX_DIGITS = 25;
/** Twice the largest relative error of such a number and of its scaling, and then some. */
const DOUBT = 2 ** -46;

/** Longer arrays are read in the ordinary way. */
export const MAX_JSON_NUMBERS = 1 << 16;

const native = hasNativeFunctions(hnswlib) ? hnswlib : undefined;

/**
 * Reads the numbers of a JSON array into float32: those that float64 numbers would give, to the last bit. Of 512 numbers of 17
 * digits native code takes 10 us, the JavaScript beside it 27, and `JSON.parse` 90.
 *
 * @param start after the opening bracket
 * @param end where the closing bracket is
 * @param into room for `MAX_JSON_NUMBERS`
 * @returns how many there are; 0 for anything but one or more numbers of JSON that are finite in float64, and for more than there is room for
 */
export function readJsonNumbers(bytes: Buffer, start: number, end: number, into: Float32Array): number {
  return native?.readJsonNumbers(bytes, start, end, into) || readAnyJsonNumbers(bytes, start, end, into);
}

/**
 * The same in JavaScript, for numbers of any length, and where there is no native code. One
 * function on purpose: with a call for each number it took half as long again, and left 16 bytes of garbage each time.
 */
export function readAnyJsonNumbers(bytes: Buffer, start: number, end: number, into: Float32Array): number {
  let at = start;
  for (let count = 0; count < into.length; at++) {
    at = skipSpace(bytes, at);
    const first = at;
    if (bytes[at] === MINUS) at++;
    const wholeFrom = at;
    let digits = 0;
    let byte = bytes[at] as number;
    while (isDigit(byte)) {
      digits = digits * 10 + (byte - ZERO);
      byte = bytes[++at] as number;
    }
    let length = at - wholeFrom;
    if (length === 0 || (length > 1 && bytes[wholeFrom] === ZERO)) return 0;
    let scale = 0;
    if (byte === POINT) {
      const fractionFrom = ++at;
      // Two digits at a time: each step in float64 waits for the one before.
      for (byte = bytes[at] as number; isDigit(byte); byte = bytes[at] as number) {
        const second = bytes[++at] as number;
        if (!isDigit(second)) {
          digits = digits * 10 + (byte - ZERO);
          byte = second;
          break;
        }
        at++;
        digits = digits * 100 + ((byte - ZERO) * 10 + (second - ZERO));
      }
      scale = fractionFrom - at;
      if (scale === 0) return 0;
      length -= scale;
    }
    if ((byte | LOWER) === SMALL_E) {
      const sign = bytes[++at];
      if (sign === MINUS || sign === PLUS) at++;
      const exponentFrom = at;
      let exponent = 0;
      for (byte = bytes[at] as number; isDigit(byte); byte = bytes[++at] as number)
        exponent = exponent * 10 + (byte - ZERO);
      if (at === exponentFrom) return 0;
      scale += sign === MINUS ? -exponent : exponent;
    }
    // `digits * 10^scale` rounded to float64 and then to float32, where float64 arithmetic can tell.
    const power = scale <= MAX_SCALE && scale >= -MAX_SCALE ? (POWERS[scale < 0 ? -scale : scale] as number) : 0;
    const about = scale < 0 ? digits / power : digits * power;
    const rounded = Math.fround(about);
    // Rounding never turns an order about: what rounds alike on both sides of the doubt rounds so within it.
    const certain = Math.fround(about * (1 - DOUBT)) === rounded && Math.fround(about * (1 + DOUBT)) === rounded;
    if (certain && power > 0 && length <= MAX_DIGITS) into[count++] = first === wholeFrom ? rounded : -rounded;
    else {
      const number = Number(bytes.toString("latin1", first, at));
      // Beyond float64; as ordinary JSON it is refused with its place.
      if (!Number.isFinite(number)) return 0;
      into[count++] = number;
    }
    at = skipSpace(bytes, at);
    if (at >= end) return at === end ? count : 0;
    if (bytes[at] !== COMMA) return 0;
  }
  return 0;
}

/** The place of the first byte from `from` on that is no white space of JSON. Beyond the end a byte is undefined, for which no comparison holds. */
export function skipSpace(bytes: Buffer, from: number): number {
  let at = from;
  // One comparison for what stands there nearly always.
  while ((bytes[at] as number) <= 0x20 && isSpace(bytes[at] as number)) at++;
  return at;
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= NINE;
}

/** White space of JSON. */
function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

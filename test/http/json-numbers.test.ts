import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MAX_JSON_NUMBERS, readAnyJsonNumbers, readJsonNumbers } from "../../src/http/json-numbers.js";
import { hasNativeFunctions, hnswlib } from "../../src/native/index.js";
import { Random } from "../../src/vector/index.js";
import { seedOf } from "../support/seed.js";

const random = new Random(seedOf("numbers in JSON", 11));
const digits = (count: number) => Array.from({ length: count }, () => random.integer(10)).join("");

/** Numbers in every spelling that JSON has. */
function spell(): string {
  const sign = random.integer(2) === 0 ? "-" : "";
  const whole = random.integer(3) === 0 ? "0" : `${1 + random.integer(9)}${digits(random.integer(12))}`;
  const fraction = random.integer(4) === 0 ? "" : `.${digits(1 + random.integer(24))}`;
  const exponent = random.integer(3) === 0 ? `${"eE"[random.integer(2)]}${["", "+", "-"][random.integer(3)]}` : "";
  return sign + whole + fraction + (exponent === "" ? "" : exponent + random.integer(45));
}

/** Where two neighbouring float32 meet, exactly or within the last digits of float64: the hardest to round. */
function spellMidpoint(): string {
  const pair = new Float32Array([random.normal() * 10 ** (random.integer(30) - 15)]);
  const below = pair[0]!;
  new Uint32Array(pair.buffer)[0]! += 1;
  const middle = (below + pair[0]!) / 2;
  return String(middle * (1 + (random.integer(3) - 1) * 2 ** -52));
}

/** As what embeds writes them: float64 in full, float32, and rounded ones. */
function spellOrdinary(): string {
  const number = random.normal() * 10 ** -random.integer(4);
  return [String(number), String(Math.fround(number)), number.toFixed(6), number.toExponential(9)][random.integer(4)]!;
}

const room = new Float32Array(MAX_JSON_NUMBERS);
type Reader = typeof readJsonNumbers;

/** What a reader makes of the inside of an array; undefined where it says that it cannot be read so. */
function readWith(reader: Reader, inside: string, into = room): Float32Array | undefined {
  const bytes = Buffer.from(`[${inside}]`);
  const count = reader(bytes, 1, bytes.length - 1, into);
  return count === 0 ? undefined : into.slice(0, count);
}

function assertSame(got: Float32Array | undefined, numbers: readonly string[]): void {
  const expected = numbers.map((text) => Math.fround(JSON.parse(text)));
  assert.equal(got?.length, numbers.length, numbers.join());
  for (const [i, number] of expected.entries()) assert.ok(Object.is(got?.[i], number), `${numbers[i]}: ${got?.[i]}`);
}

const EXTREMES = "0 -0 0.0 -0e5 1e-400 5e-324 1.4e-45 7.006492321624085e-46 7.006492321624086e-46 1e-38 1.17549435e-38 "
  .concat("3.4028234663852886e38 3.4028235677973366e38 3.4028235677973362e38 1e39 -1e308 16777217 16777219 ")
  .concat(`9007199254740993 123456789012345678901234567890 0.${"0".repeat(30)}1 1${"0".repeat(30)} 1e22 1e23 1E-22 `)
  .concat(
    `18446744073709551615 18446744073709551616 0.${"0".repeat(50)} 0.00000000000000000001234567890123456789 1e-41`,
  )
  .split(" ");
const FAULTS = ["", " ", "01", "1.", ".5", "1e", "1e+", "+1", "-", "1,", ",1", "1 2", "NaN", "0x1", "1,,2", "--1"]
  .concat(["1-", "1.2.3", "1e5e5", "[1]", "null", '"1"', "1\u00a0", "\t", "12345678x", "1:", "1/", "1.;5"])
  .concat("1e999");

const native = hasNativeFunctions(hnswlib) ? hnswlib : undefined;
const readers = { "in the way that fits": readJsonNumbers, "in JavaScript": readAnyJsonNumbers };

for (const [how, reader] of Object.entries(readers)) {
  describe(`numbers of JSON, read ${how}`, () => {
    it("are to the bit what float64 and float32 in turn would have", () => {
      for (let round = 0; round < 600; round++) {
        const numbers = Array.from({ length: 20 }, () => (random.integer(2) === 0 ? spell() : spellMidpoint()));
        if (numbers.some((text) => !Number.isFinite(JSON.parse(text)))) continue;
        assertSame(readWith(reader, numbers.join(",")), numbers);
      }
    });

    it("are so at the ends of the ranges of float32 and float64", () => {
      for (const number of EXTREMES) assertSame(readWith(reader, number), [number]);
      assertSame(readWith(reader, EXTREMES.join(" ,\n")), EXTREMES);
    });

    it("may have white space around them", () => {
      assertSame(readWith(reader, " 1 ,\r\n\t-2.5 , 3e1 "), ["1", "-2.5", "3e1"]);
    });

    it("are not read where there is a fault, or more than there is room for", () => {
      for (const fault of FAULTS) {
        assert.equal(readWith(reader, fault), undefined, fault);
        assert.equal(readWith(reader, `0.25,${fault}`), undefined, fault);
      }
      assert.equal(readWith(reader, "1,2,3", new Float32Array(2)), undefined);
      assertSame(readWith(reader, "1,2,3", new Float32Array(3)), ["1", "2", "3"]);
    });
  });
}

describe("the native reader of numbers", { skip: native === undefined ? "there is none here" : false }, () => {
  const read = (inside: string) => readWith((...given) => native!.readJsonNumbers(...given), inside);

  it("is right wherever it gives an answer, and gives one for what is usual", () => {
    let unusual = 0;
    for (let i = 0; i < 20_000; i++) {
      const hard = random.integer(2) === 0 ? spell() : spellMidpoint();
      const got = read(hard);
      if (got !== undefined) assertSame(got, [hard]);
      else unusual += 1;
      const ordinary = spellOrdinary();
      assertSame(read(ordinary), [ordinary]);
    }
    assert.ok(unusual > 0, "some are left to the other way");
  });

  it("reads what lies between its two places alone, wherever they are", () => {
    const text = "9,-0.015625,77.5e-2,1234567.25,9";
    const bytes = Buffer.from(text);
    for (let start = 0; start <= bytes.length; start++) {
      for (let end = start; end <= bytes.length; end++) {
        const own = Buffer.from(text.slice(start, end));
        const count = native!.readJsonNumbers(bytes, start, end, room);
        const numbers = room.slice(0, count);
        assert.equal(readAnyJsonNumbers(own, 0, own.length, room), count, own.toString());
        assert.deepEqual(room.slice(0, count), numbers);
      }
    }
  });

  it("refuses what does not fit", () => {
    const refused = /TypeError: Expected bytes, two places in them, and a Float32Array/;
    const reads = native!.readJsonNumbers as (...given: unknown[]) => number;
    const bytes = Buffer.from("1,2");
    for (const given of [
      [bytes, 0, 4, room],
      [bytes, 2, 1, room],
      [bytes, -1, 2, room],
      [bytes, 0, 3],
      ["1,2", 0, 3, room],
      [new Float32Array(3), 0, 3, room],
      [bytes, 0, 3, new Float64Array(3)],
    ])
      assert.throws(() => reads(...given), refused);
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { displayWidth, padDisplay, truncateDisplay } from "../../src/cli/terminal/display-width.js";
import { formatBytes, formatDuration, formatRate } from "../../src/cli/terminal/format.js";
import { describeProgress, renderProgress } from "../../src/cli/terminal/progress-line.js";
import { ProgressReporter } from "../../src/cli/terminal/progress-reporter.js";
import { RateMeter } from "../../src/cli/terminal/rate-meter.js";
import { renderTable } from "../../src/cli/terminal/table.js";

describe("the progress line", () => {
  const half = { label: "importing", count: 500, total: 1000, unit: "items", rate: 1234.5, etaMs: 65_000 };

  it("shows bar, share, count, rate and time left", () => {
    assert.equal(
      renderProgress(half, 200),
      `importing  ${"█".repeat(12)}${"░".repeat(12)}   50%  500 of 1,000 items  1,235/s  1 min 05 s left`,
    );
  });

  it("never passes the edge of the terminal", () => {
    for (const columns of [20, 40, 79]) assert.ok(displayWidth(renderProgress(half, columns)) <= columns);
  });

  it("has no bar when nobody knows the end", () => {
    assert.equal(renderProgress({ label: "importing", count: 500, unit: "items" }, 80), "importing  500 items");
  });

  it("goes by bytes where those are known, and never beyond 100%", () => {
    assert.match(renderProgress({ label: "x", count: 1, unit: "items", fraction: 1.2 }, 80), / 100% {2}1 items/);
    assert.match(renderProgress({ label: "x", count: 0, total: 0, unit: "items" }, 80), / {3}0% {2}0 of 0 items/);
  });

  it("is plain words in a log", () => {
    assert.equal(describeProgress(half), "importing: 50%, 500 of 1,000 items, 1,235/s, 1 min 05 s left");
  });
});

describe("the progress reporter", () => {
  const record = (isTTY: boolean) => {
    const written: string[] = [];
    let now = 0;
    const stream = { isTTY, columns: 60, write: (text: string) => written.push(text) };
    const reporter = new ProgressReporter(stream, () => now);
    const at = (time: number, count: number) => {
      now = time;
      reporter.update({ label: "working", count, unit: "items" });
    };
    return { written, reporter, at };
  };

  it("draws over its line on a terminal and clears it at the end", () => {
    const { written, reporter, at } = record(true);
    at(0, 1);
    at(50, 2);
    at(120, 3);
    reporter.end("done");
    assert.deepEqual(written, ["\r\x1b[2Kworking  1 items", "\r\x1b[2Kworking  3 items", "\r\x1b[2K", "done\n"]);
  });

  it("writes a line every five seconds elsewhere", () => {
    const { written, at } = record(false);
    for (let second = 0; second <= 11; second++) at(second * 1000, second);
    assert.deepEqual(written, ["working: 0 items\n", "working: 5 items\n", "working: 10 items\n"]);
  });
});

describe("the rate meter", () => {
  it("goes by the last ten seconds", () => {
    let now = 0;
    const meter = new RateMeter(() => now);
    assert.equal(meter.perSecond, undefined);
    for (let second = 1; second <= 30; second++) {
      now = second * 1000;
      meter.record(second <= 20 ? second * 10 : 200 + (second - 20) * 100);
    }
    assert.equal(meter.perSecond, 100);
    assert.equal(meter.etaMs(50), 500);
  });
});

describe("words for numbers", () => {
  it("are short and fit their size", () => {
    assert.deepEqual([0, 850, 999.6, 12_340, 59_960, 125_000, 3_720_000].map(formatDuration), [
      "0 ms",
      "850 ms",
      "1.0 s",
      "12.3 s",
      "1 min 00 s",
      "2 min 05 s",
      "1 h 02 min",
    ]);
    assert.deepEqual([12, 1536, 12.5 * 2 ** 20, 300 * 2 ** 30].map(formatBytes), [
      "12 B",
      "1.5 KiB",
      "12.5 MiB",
      "300 GiB",
    ]);
    assert.deepEqual([0.5, 12.34, 1234].map(formatRate), ["0.5/s", "12.3/s", "1,234/s"]);
  });
});

describe("columns of a terminal", () => {
  it("count two for emoji and East Asian characters, also composed ones", () => {
    assert.deepEqual(["ab", "é", "🎂", "👩‍🚀", "✈️", "漢字", "🇫🇷"].map(displayWidth), [2, 1, 2, 2, 2, 4, 2]);
  });

  it("pad and cut without splitting a character", () => {
    assert.equal(padDisplay("🎂", 4), "🎂  ");
    assert.equal(padDisplay("7", 3, "left"), "  7");
    assert.equal(truncateDisplay("👩‍🚀👩‍🚀👩‍🚀👩‍🚀", 7), "👩‍🚀👩‍🚀...");
    assert.equal(truncateDisplay("short", 5), "short");
  });

  it("line up in a table", () => {
    const table = renderTable(
      [{ title: "name" }, { title: "n", align: "right" }],
      [
        ["🎂", "1"],
        ["cake", "12"],
      ],
    );
    assert.equal(table, "name   n\n----  --\n🎂     1\ncake  12");
  });
});

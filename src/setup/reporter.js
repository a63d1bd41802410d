const TICK_MS = 200;

/**
 * Tells the person what the set-up does, on stderr: one line a step, with the seconds it took. On a terminal the line
 * of the running step counts along; elsewhere (a log file, CI) a step is two plain lines.
 */
export function createReporter({ quiet, stream = process.stderr }) {
  const print = (text) => {
    if (!quiet) stream.write(text);
  };
  return {
    note: (text) => print(`set-up: ${text}\n`),
    /** Printed even when quiet. */
    warn: (text) => stream.write(`set-up: ${text}\n`),
    async step(title, reason, run) {
      const live = stream.isTTY === true && !quiet;
      const started = performance.now();
      const seconds = () => `${((performance.now() - started) / 1000).toFixed(1)} s`;
      let detail = "";
      const draw = () => {
        const line = `set-up: ${title} (${reason}) ${seconds()}${detail === "" ? "" : `  ${detail}`}`;
        print(`\r\x1b[2K${line.slice(0, Math.max(20, (stream.columns || 80) - 1))}`);
      };
      if (live) draw();
      else print(`set-up: ${title} (${reason}) ...\n`);
      const timer = live ? setInterval(draw, TICK_MS) : undefined;
      const progress = (text) => {
        detail = text;
      };
      try {
        const result = await run(progress);
        print(`${live ? "\r\x1b[2K" : ""}set-up: ${title}: done in ${seconds()}\n`);
        return result;
      } catch (error) {
        print(`${live ? "\r\x1b[2K" : ""}set-up: ${title}: failed after ${seconds()}\n`);
        throw error;
      } finally {
        clearInterval(timer);
      }
    },
  };
}

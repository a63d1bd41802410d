// Prepares a checkout for `npm run demo` and `npm test`: packages, native modules, build, built-in models. It runs before
// anything is installed, hence plain JavaScript and nothing but Node's own modules. Each step is skipped when it is fresh.
import path from "node:path";
import { parseArgs } from "node:util";
import { SetupError } from "./command.js";
import { acquireLock } from "./lock.js";
import { createReporter } from "./reporter.js";
import { build } from "./steps/build.js";
import { hnswlib } from "./steps/hnswlib.js";
import { model } from "./steps/model.js";
import { nativeModules } from "./steps/native-modules.js";
import { checkNodeVersion } from "./steps/node-version.js";
import { packages } from "./steps/packages.js";

const USAGE = `Usage: node src/setup/setup.js [--for demo|test|bench|build] [--quiet]

Installs packages, builds, and prepares the built-in models, each only when missing or stale.
  --for WHAT   what the set-up is for (default test); build leaves the model out
  --quiet      print failures and warnings only

ATTUNE_MARCH says what the index is compiled for: native (the default), x86-64-v2, x86-64-v3, x86-64-v4, or off.`;

const STEPS = {
  demo: [packages, nativeModules, hnswlib, build, model],
  test: [packages, nativeModules, hnswlib, build, model],
  bench: [packages, nativeModules, hnswlib, build, model],
  build: [packages, nativeModules, hnswlib, build],
};

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        for: { type: "string", default: "test" },
        quiet: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    if (!Object.hasOwn(STEPS, values.for)) throw new Error(`--for ${values.for}: expected demo, test, bench or build`);
    return values;
  } catch (error) {
    process.stderr.write(`${error.message}\n\n${USAGE}\n`);
    process.exit(2);
  }
}

async function main() {
  const options = readOptions();
  if (options.help) return void process.stdout.write(`${USAGE}\n`);
  const root = path.resolve(import.meta.dirname, "../..");
  const reporter = createReporter({ quiet: options.quiet });
  const steps = STEPS[options.for];
  checkNodeVersion(root);
  if (steps.every((step) => step.staleReason(root) === undefined)) return;
  const release = await acquireLock(path.join(root, "dist-setup.lock"), (owner) => reporter.note(owner));
  try {
    for (const step of steps) {
      // Asked again under the lock: an earlier step, or another set-up, may have changed the answer.
      const reason = step.staleReason(root);
      if (reason === undefined) continue;
      const warning = await reporter.step(step.title, reason, (progress) => step.run(root, progress));
      if (warning !== undefined) reporter.warn(warning);
    }
  } finally {
    release();
  }
}

main().catch((error) => {
  process.stderr.write(`\nset-up failed: ${error instanceof SetupError ? error.message : error.stack}\n`);
  process.exitCode = 1;
});

import { EXIT } from "./exit-codes.js";

/** Waits for Ctrl-C or SIGTERM. A second one ends the process at once. */
export function waitForStop(): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    const onSignal = () => {
      if (asked) process.exit(EXIT.interrupted);
      asked = true;
      resolve();
    };
    process.on("SIGINT", onSignal);
    process.on("SIGTERM", onSignal);
  });
}

/** Calls back at the first Ctrl-C (or SIGTERM) and lets the second one end the process; returns what undoes that. */
export function onInterrupt(action: () => void): () => void {
  let asked = false;
  const onSignal = () => {
    if (asked) process.exit(EXIT.interrupted);
    asked = true;
    action();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return () => {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  };
}

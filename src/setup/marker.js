import { readFileSync, renameSync, writeFileSync } from "node:fs";

/** What an earlier set-up noted down, or {} when nothing readable is there: then the step simply runs again. */
export function readMarker(file) {
  try {
    const value = JSON.parse(readFileSync(file, "utf8"));
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
}

/** Replaces the marker in one move, so that a crash leaves the old one or the new one. */
export function writeMarker(file, value) {
  const temporary = `${file}.${process.pid}.tmp`;
  writeFileSync(temporary, `${JSON.stringify(value, null, 2)}\n`);
  renameSync(temporary, file);
}

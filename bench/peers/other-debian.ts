import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { NotInstalled } from "./system.js";

/**
 * A command that runs a program of this machine with the libraries of another Debian, for programs that were built for
 * a newer one; the command as it is where there is no other.
 */
export function withLibrariesOf(debian: string | undefined, command: readonly string[]): string[] {
  if (debian === undefined) return [...command];
  const libraries = readdirSync(path.join(debian, "usr/lib")).find((name) => name.endsWith("-linux-gnu"));
  const loader = ["lib64/ld-linux-x86-64.so.2", "lib/ld-linux-aarch64.so.1"].find((file) =>
    existsSync(path.join(debian, file)),
  );
  if (libraries === undefined || loader === undefined) throw new NotInstalled(`${debian} is no folder of a Debian`);
  return [path.join(debian, loader), "--library-path", path.join(debian, "usr/lib", libraries), ...command];
}

/**
 * A command of another Debian, run in it, or of this machine; as the user postgres where we are root, since PostgreSQL
 * refuses root.
 */
export function asPostgres(debian: string | undefined, command: readonly string[]): string[] {
  if (process.getuid?.() === 0) return ["chroot", "--userspec=postgres:postgres", debian ?? "/", ...command];
  if (debian !== undefined) throw new NotInstalled("only root can run programs of another Debian");
  return [...command];
}

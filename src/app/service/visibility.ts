import { realpath, stat } from "node:fs/promises";
import { dirname } from "node:path";

/** What a service with ProtectHome= and PrivateTmp= does not see. */
const HIDDEN = /^\/(?:home|root|run\/user|tmp|var\/tmp)(?:\/|$)/;
const OTHERS_READ = 0o4;
const OTHERS_SEARCH = 0o1;

/** Whether a service that runs as any other user, and sees no home folders, can read (or, with `x`, run) a file. */
export async function isOpenToServices(path: string, access: "read" | "run"): Promise<boolean> {
  const real = await realpath(path).catch(() => undefined);
  if (real === undefined || HIDDEN.test(real)) return false;
  const needed = access === "read" ? OTHERS_READ : OTHERS_READ | OTHERS_SEARCH;
  if (((await stat(real)).mode & needed) !== needed) return false;
  for (let folder = dirname(real); ; folder = dirname(folder)) {
    if (((await stat(folder)).mode & OTHERS_SEARCH) === 0) return false;
    if (folder === "/") return true;
  }
}

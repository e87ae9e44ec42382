import { randomBytes } from "node:crypto";
import { link, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { UtError } from "../../core/error.ts";

/**
 * Puts a new file in place with all of its content or not at all, and never over an existing one.
 *
 * @param mode permissions from the first byte on: a key is never readable by others, not even while being written
 * @throws UtError `pki.exists` where the path is taken, `io.file` for everything else
 */
export async function createFile(path: string, content: string, mode: number): Promise<void> {
  await viaTemporary(path, content, mode, async (temporary) => {
    try {
      // link(2) refuses an existing target; rename(2) would silently replace it.
      await link(temporary, path);
    } catch (error) {
      if (errorCode(error) !== "EPERM" && errorCode(error) !== "ENOTSUP") throw error;
      await createWithoutLinks(path, content, mode);
    }
  });
}

/** As `createFile`, but replaces what stands there: a reader sees the old content or the new, never a mixture. */
export async function replaceFile(path: string, content: string, mode: number): Promise<void> {
  await viaTemporary(path, content, mode, (temporary) => rename(temporary, path));
}

async function viaTemporary(
  path: string,
  content: string,
  mode: number,
  place: (temporary: string) => Promise<void>,
): Promise<void> {
  // Same folder, so same file system; the dot keeps it out of listings.
  const temporary = join(dirname(path), `.${randomBytes(8).toString("hex")}.tmp`);
  try {
    await writeExclusively(temporary, content, mode);
    await place(temporary);
  } catch (cause) {
    throw fileError(path, cause);
  } finally {
    await rm(temporary, { force: true });
  }
}

/** FAT and exFAT (a stick that holds the CA key) have no links; O_EXCL still refuses to overwrite there. */
async function createWithoutLinks(path: string, content: string, mode: number): Promise<void> {
  try {
    await writeExclusively(path, content, mode);
  } catch (error) {
    if (errorCode(error) !== "EEXIST") await rm(path, { force: true });
    throw error;
  }
}

async function writeExclusively(path: string, content: string, mode: number): Promise<void> {
  await using file = await open(path, "wx", mode);
  await file.writeFile(content);
  // Without it a power cut after the rename can leave an empty file of the right name.
  await file.sync();
}

function fileError(path: string, cause: unknown): UtError {
  if (errorCode(cause) === "EEXIST") return new UtError("pki.exists", `Cannot create ${path}: it exists`, { cause });
  return new UtError("io.file", `Cannot write ${path}: ${errorCode(cause) ?? String(cause)}`, {
    cause,
    details: { path },
  });
}

function errorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

import { randomBytes } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { hmacSha256 } from "../core/crypto.ts";
import { NONCE_BYTES } from "../core/portmap/pcp-codec.ts";
import type { Transport } from "../core/portmap/protocol.ts";
import { createFile } from "./system/atomic-file.ts";

const SECRET_BYTES = 32;

/** What a PCP nonce is for. */
export interface OwnedMapping {
  readonly gateway: string;
  readonly transport: Transport;
  readonly internalPort: number;
}

/**
 * Who this user is to PCP gateways. RFC 6887 lets nobody change or remove a mapping who does not repeat its nonce, which
 * also locks out the program that made it and was killed. So nonces come from a secret that outlives the process: one
 * user's programs know each other's mappings, and nobody else can guess them.
 */
export interface MappingOwner {
  nonceOf(mapping: OwnedMapping): Uint8Array;
  /** Why the secret lives in this process alone, so that only the process can remove its mappings; else undefined. */
  readonly problem: string | undefined;
}

/** Reads the secret of this user, or makes it: `port-mapping.secret` in `folder`, mode 0600. Never fails. */
export async function mappingOwner(folder: string = stateFolder()): Promise<MappingOwner> {
  const path = join(folder, "port-mapping.secret");
  try {
    return ownerWith((await readSecret(path)) ?? (await makeSecret(folder, path)), undefined);
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    return ownerWith(randomBytes(SECRET_BYTES), cause);
  }
}

/** systemd's StateDirectory=, else the XDG one; HOME may be missing in a service. */
export function stateFolder(env: Readonly<Record<string, string | undefined>> = process.env): string {
  if (env.STATE_DIRECTORY) return env.STATE_DIRECTORY.split(":", 1)[0] ?? "";
  return join(env.XDG_STATE_HOME || join(homedir(), ".local", "state"), "ut");
}

function ownerWith(secret: Uint8Array, problem: string | undefined): MappingOwner {
  const encoder = new TextEncoder();
  return {
    problem,
    nonceOf: ({ gateway, transport, internalPort }) =>
      hmacSha256(secret, encoder.encode(`${gateway} ${transport} ${internalPort}`)).subarray(0, NONCE_BYTES),
  };
}

async function readSecret(path: string): Promise<Uint8Array | undefined> {
  const text = await readFile(path, "latin1").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  if (/^[0-9a-f]{64}\n?$/.test(text)) return Uint8Array.from(Buffer.from(text.trim(), "hex"));
  throw new Error(`${path} holds no secret of ut: delete it`);
}

async function makeSecret(folder: string, path: string): Promise<Uint8Array> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const secret = randomBytes(SECRET_BYTES);
  try {
    await createFile(path, `${secret.toString("hex")}\n`, 0o600);
    return secret;
  } catch (error) {
    // Another process of this user was faster; its secret counts.
    const made = await readSecret(path);
    if (made === undefined) throw error;
    return made;
  }
}

import { access, mkdir, readdir, readFile, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { isCommonName } from "../../core/common-name.ts";
import { UtError } from "../../core/error.ts";
import { createFile, replaceFile } from "../system/atomic-file.ts";
import type { KeyedCertificate } from "./pki.ts";

export interface PairFiles {
  readonly cert: string;
  readonly key: string;
}

/** Readable by all: certificates are public, and services run under users of their own. */
const CERT_MODE = 0o644;
const KEY_MODE = 0o600;
const FOLDER_MODE = 0o700;
const CA_NAME = "ca";
const DEFAULT_DIR = "./pki";

/**
 * The folder of `ut pki`: `ca.pem ca.key`, and `NAME.pem NAME.key` for each node. Every file appears whole or not at
 * all, keys with mode 0600 from their first byte.
 *
 * The two files of a pair are two renames, the key first: a crash between them leaves a pair that does not match, which
 * loading it says. Renewing without a new key replaces the certificate alone, in one step.
 */
export class PkiStore {
  readonly dir: string;
  readonly caFiles: PairFiles;

  constructor(dir = DEFAULT_DIR) {
    this.dir = dir;
    this.caFiles = this.#pair(CA_NAME);
  }

  /** A command for this very folder, to be copied into a shell: `ut pki renew --dir D --cn home`. */
  commandLine(subcommand: string, ...flags: string[]): string {
    const dir = this.dir === DEFAULT_DIR ? [] : ["--dir", shellWord(this.dir)];
    return ["ut pki", subcommand, ...dir, ...flags].join(" ");
  }

  /** @throws UtError `pki.bad-name` for what is no CN, or no safe file name */
  nodeFiles(cn: string): PairFiles {
    if (!isCommonName(cn))
      throw badName(cn, "a node's name is 1 to 64 letters, digits, dots and hyphens, and names its files");
    // Half of all file systems do not tell CA.pem from ca.pem.
    if (cn.toLowerCase() === CA_NAME) throw badName(cn, "its files would be those of the CA: choose another name");
    if (cn.startsWith(".")) throw badName(cn, "a leading dot would hide its files: choose another name");
    return this.#pair(cn);
  }

  /** @throws UtError `pki.exists` unless `force`, `io.file` */
  async writeCa(pair: KeyedCertificate, options: { readonly force: boolean }): Promise<void> {
    await this.#writePair(this.caFiles, pair, options.force);
  }

  /** @throws UtError `pki.exists` unless `force`, `pki.bad-name`, `io.file` */
  async writeNode(cn: string, pair: KeyedCertificate, options: { readonly force: boolean }): Promise<void> {
    await this.#writePair(this.nodeFiles(cn), pair, options.force);
  }

  /** A renewed certificate in place of the old one, and its key if that is new as well. @throws UtError `io.file` */
  async replace(files: PairFiles, renewed: { readonly cert: string; readonly key?: string }): Promise<void> {
    if (renewed.key !== undefined) await replaceFile(files.key, renewed.key, KEY_MODE);
    await replaceFile(files.cert, renewed.cert, CERT_MODE);
  }

  /** @throws UtError `pki.missing` before `ut pki init`, or where the CA's key is kept elsewhere; `io.file` */
  async readCa(): Promise<KeyedCertificate> {
    const [cert, key] = [await readIfThere(this.caFiles.cert), await readIfThere(this.caFiles.key)];
    if (cert !== undefined && key !== undefined) return { cert, key };
    const absent = cert === undefined ? this.caFiles.cert : this.caFiles.key;
    const remedy = cert === undefined ? this.#caRemedy() : "bring it back to where its certificate is";
    throw new UtError("pki.missing", `Cannot sign with the CA in ${this.dir}: there is no ${absent}: ${remedy}`, {
      details: { path: absent },
    });
  }

  /** Undefined where there is none: on a node the folder may hold no CA. @throws UtError `io.file` */
  async readCertificate(files: PairFiles): Promise<string | undefined> {
    return readIfThere(files.cert);
  }

  /** The certificate of the CA or a node, and its key where it is kept here. @throws UtError `pki.missing`, `io.file` */
  async read(files: PairFiles): Promise<{ readonly cert: string; readonly key: string | undefined }> {
    const cert = await readIfThere(files.cert);
    if (cert !== undefined) return { cert, key: await readIfThere(files.key) };
    const remedy = files === this.caFiles ? this.#caRemedy() : await this.#nodeRemedy();
    throw new UtError("pki.missing", `Cannot read ${files.cert}: there is no such file: ${remedy}`, {
      details: { path: files.cert },
    });
  }

  /** Names of the nodes that have a certificate here, sorted. @throws UtError `io.file` */
  async nodeNames(): Promise<string[]> {
    const names = (await listIfThere(this.dir)).flatMap((file) => /^([^.].*)\.pem$/.exec(file)?.[1] ?? []);
    return names.filter((name) => name !== CA_NAME && isCommonName(name)).sort();
  }

  /** @throws UtError `pki.exists` if the CA or the node has files here */
  async refuseExisting(files: PairFiles): Promise<void> {
    for (const path of [files.cert, files.key]) {
      if (!(await exists(path))) continue;
      throw new UtError("pki.exists", `Cannot create ${path}: it exists: ${this.#existsRemedy(files, path)}`, {
        details: { path },
      });
    }
  }

  /** Who meets a file that exists mostly wants it to last longer, and --force is a costly way to that. */
  #existsRemedy(files: PairFiles, path: string): string {
    if (path === files.key) return "use --force to replace it";
    if (files === this.caFiles)
      return `"${this.commandLine("renew", "--ca")}" makes it last longer; --force makes another CA, and all nodes need new certificates`;
    const cn = basename(path, ".pem");
    return `"${this.commandLine("renew", "--cn", cn)}" makes it last longer; --force replaces it, and its key`;
  }

  #caRemedy(): string {
    return `make a CA with "${this.commandLine("init")}", or name its folder with --dir`;
  }

  async #nodeRemedy(): Promise<string> {
    return (await exists(this.dir))
      ? `"${this.commandLine("show")}" lists what there is`
      : "name the folder of its CA with --dir";
  }

  async #writePair(files: PairFiles, pair: KeyedCertificate, force: boolean): Promise<void> {
    await this.#makeFolder();
    if (force) return this.replace(files, pair);
    // Both are looked at before either is written; createFile then closes the race with another `ut pki`.
    await this.refuseExisting(files);
    await createFile(files.key, pair.key, KEY_MODE);
    try {
      await createFile(files.cert, pair.cert, CERT_MODE);
    } catch (error) {
      await rm(files.key, { force: true });
      throw error;
    }
  }

  async #makeFolder(): Promise<void> {
    try {
      await mkdir(this.dir, { recursive: true, mode: FOLDER_MODE });
    } catch (cause) {
      throw fileError("create the folder", this.dir, cause);
    }
  }

  #pair(name: string): PairFiles {
    return { cert: join(this.dir, `${name}.pem`), key: join(this.dir, `${name}.key`) };
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    if (errorCode(cause) === "ENOENT") return undefined;
    throw fileError("read", path, cause);
  }
}

async function listIfThere(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (cause) {
    if (errorCode(cause) === "ENOENT") return [];
    throw fileError("list", dir, cause);
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function badName(cn: string, cause: string): UtError {
  return new UtError("pki.bad-name", `Cannot keep a certificate for "${cn}": ${cause}`, { details: { cn } });
}

function fileError(action: string, path: string, cause: unknown): UtError {
  return new UtError("io.file", `Cannot ${action} ${path}: ${errorCode(cause) ?? String(cause)}`, {
    cause,
    details: { path },
  });
}

function errorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

/** Quoted where a shell would otherwise split or expand it. */
function shellWord(text: string): string {
  return /^[\w./:@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

import { errorMessage } from "../../core/error.ts";
import { type CertificateInfo, describeCertificate } from "../../io/pki/pki-describe.ts";
import type { PairFiles, PkiStore } from "../../io/pki/pki-store.ts";
import { daysLeft, formatTime, formatTimeLeft, validityAt } from "../../io/pki/pki-validity.ts";
import type { Terminal } from "../command.ts";
import { isOfCa, type KeyState, keyState } from "./pki-relations.ts";

export interface ShowOptions {
  readonly store: PkiStore;
  /** One node instead of all and the CA. */
  readonly cn?: string;
  readonly json: boolean;
  readonly now: Date;
  readonly terminal: Terminal;
}

/**
 * Prints every certificate of the folder, or one node's.
 *
 * @returns the exit code: 1 where a certificate could not be read, and the rest is shown all the same
 * @throws UtError `pki.missing` where there is none, `pki.bad-name`, `io.file`
 */
export async function showPki({ store, cn, json, now, terminal }: ShowOptions): Promise<number> {
  const nodes = cn === undefined ? await store.nodeNames() : [cn];
  const all = nodes.map((name) => ({ name, files: store.nodeFiles(name) }));
  // A node's own folder may hold no CA, and a folder without anything is not a PKI: read() says so.
  const authority = await store.readCertificate(store.caFiles);
  if (cn === undefined && (authority !== undefined || all.length === 0))
    all.unshift({ name: "ca", files: store.caFiles });

  const entries: Entry[] = [];
  for (const { name, files } of all) entries.push(await describeEntry(name, files, store, authority));

  terminal.out(json ? JSON.stringify(toJson(store.dir, entries, now), undefined, 2) : formatAll(entries, now));
  return entries.some((entry) => entry.info === undefined) ? 1 : 0;
}

interface Entry {
  readonly name: string;
  readonly files: PairFiles;
  /** Undefined where the file holds no certificate; `problem` then says why. */
  readonly info: CertificateInfo | undefined;
  readonly problem: string | undefined;
  readonly key: KeyState;
  /** By the CA of the folder; undefined for that CA itself, and where there is none. */
  readonly issuedHere: boolean | undefined;
}

async function describeEntry(
  name: string,
  files: PairFiles,
  store: PkiStore,
  authority: string | undefined,
): Promise<Entry> {
  const { cert, key } = await store.read(files);
  const base = { name, files };
  try {
    const info = await describeCertificate(cert);
    const issuedHere = files === store.caFiles || authority === undefined ? undefined : isOfCa(cert, authority);
    return { ...base, info, problem: undefined, key: keyState(cert, key), issuedHere };
  } catch (error) {
    return { ...base, info: undefined, problem: errorMessage(error), key: "absent", issuedHere: undefined };
  }
}

function formatAll(entries: readonly Entry[], now: Date): string {
  return entries.map((entry) => formatEntry(entry, now).join("\n")).join("\n\n");
}

function formatEntry({ name, files, info, problem, key, issuedHere }: Entry, now: Date): string[] {
  const title = `${name}  ${files.cert}`;
  if (info === undefined) return [title, field("problem", problem ?? "")];
  const constraint = info.ca ? [info.pathLength === undefined ? "CA" : `CA with path length ${info.pathLength}`] : [];
  return [
    title,
    field("subject", info.subject),
    field("issuer", `${info.issuer}${issuedHere === false ? " (NOT the CA in this folder)" : ""}`),
    field("usages", [...constraint, ...info.keyUsage, ...info.extendedKeyUsage].join(", ")),
    ...(info.ca ? [] : [field("hosts", info.names.length > 0 ? info.names.join(", ") : "none (dials only)")]),
    field("valid", `${formatTime(info.notBefore)} to ${formatTime(info.notAfter)}, ${formatTimeLeft(info, now)}`),
    field("serial", info.serial),
    field("SHA-256", info.fingerprint),
    field("key", formatKey(key, files)),
  ];
}

function formatKey(key: KeyState, files: PairFiles): string {
  switch (key) {
    case "matches":
      return files.key;
    case "mismatch":
      return `${files.key} (does NOT belong to this certificate)`;
    case "unreadable":
      return `${files.key} (holds NO readable key)`;
    case "absent":
      return "not here";
    default:
      return key satisfies never;
  }
}

function field(label: string, value: string): string {
  return `  ${label.padEnd(9)}${value}`;
}

function toJson(dir: string, entries: readonly Entry[], now: Date): unknown {
  const certificates = entries.map(({ name, files, info, problem, key, issuedHere }) => ({
    name,
    file: files.cert,
    ...(info === undefined
      ? { problem }
      : { ...info, state: validityAt(info, now), daysLeft: daysLeft(info, now), issuedHere, keyFile: files.key, key }),
  }));
  return { dir, certificates };
}

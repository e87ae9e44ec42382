/**
 * The ad-hoc code signature of a Mach-O executable, made and checked on any system.
 *
 * macOS kills a program whose pages do not match its signature. Bun 1.4.5 signs what it compiles for darwin-arm64, but
 * leaves on darwin-x64 the signature of the runtime it started from, which no longer fits (75 of 23,797 pages).
 * Layout: Apple's `cs_blobs.h` and `mach-o/loader.h`; the same that Go's and LLVM's linkers write. Load commands are
 * little endian, the signature is big endian.
 */
const LC_SEGMENT_64 = 0x19;
const LC_CODE_SIGNATURE = 0x1d;
const MH_MAGIC_64 = 0xfeedfacf;
const MACH_HEADER_BYTES = 32;

const CSMAGIC_EMBEDDED_SIGNATURE = 0xfade_0cc0;
const CSMAGIC_CODEDIRECTORY = 0xfade_0c02;
const CSSLOT_CODEDIRECTORY = 0;
const CODEDIRECTORY_VERSION = 0x20400;
const CODEDIRECTORY_BYTES = 88;
/** `CS_ADHOC | CS_LINKER_SIGNED`: no identity, and `codesign` may replace it without `--force`. */
const FLAGS = 0x2_0002;
const HASH_TYPE_SHA256 = 2;
const HASH_BYTES = 32;
const PAGE_BITS = 12;
const PAGE_BYTES = 1 << PAGE_BITS;
const CS_EXECSEG_MAIN_BINARY = 1n;
/** Superblob header and its one index entry. */
const SUPERBLOB_BYTES = 12 + 8;
/** Segments are padded to the larger page size of the two architectures. */
const VM_PAGE_BYTES = 0x4000;

/** True when every page of the file's code has the hash that its signature says. */
export function isMachoSignatureValid(file: Uint8Array): boolean {
  const { signature } = readLayout(file);
  const view = viewOf(file);
  if (view.getUint32(signature.offset) !== CSMAGIC_EMBEDDED_SIGNATURE) return false;
  const directory = findCodeDirectory(view, signature.offset);
  if (directory === undefined) return false;
  const hashes = directory + view.getUint32(directory + 16);
  const slots = view.getUint32(directory + 28);
  const codeLimit = view.getUint32(directory + 32);
  if (codeLimit !== signature.offset || slots !== Math.ceil(codeLimit / PAGE_BYTES)) return false;
  for (let slot = 0; slot < slots; slot++) {
    const wanted = file.subarray(hashes + slot * HASH_BYTES, hashes + (slot + 1) * HASH_BYTES);
    if (Buffer.compare(wanted, pageHash(file, slot, codeLimit)) !== 0) return false;
  }
  return true;
}

/** A copy of the executable with a new ad-hoc signature for `identifier` instead of the one it has. */
export function signMacho(file: Uint8Array, identifier: string): Uint8Array {
  const { signature, linkEdit, text } = readLayout(file);
  const codeLimit = signature.offset;
  const slots = Math.ceil(codeLimit / PAGE_BYTES);
  const name = new TextEncoder().encode(`${identifier}\0`);
  const directoryBytes = CODEDIRECTORY_BYTES + name.length + slots * HASH_BYTES;
  const signatureBytes = SUPERBLOB_BYTES + directoryBytes;

  const signed = new Uint8Array(codeLimit + signatureBytes);
  signed.set(file.subarray(0, codeLimit));
  const view = viewOf(signed);
  // These stand in the first page, so they change before it is hashed.
  view.setUint32(signature.command + 12, signatureBytes, true);
  const linkEditBytes = BigInt(signed.length) - linkEdit.fileOffset;
  view.setBigUint64(linkEdit.command + 32, roundUp(linkEditBytes, BigInt(VM_PAGE_BYTES)), true);
  view.setBigUint64(linkEdit.command + 48, linkEditBytes, true);

  const superblob = codeLimit;
  view.setUint32(superblob, CSMAGIC_EMBEDDED_SIGNATURE);
  view.setUint32(superblob + 4, signatureBytes);
  view.setUint32(superblob + 8, 1);
  view.setUint32(superblob + 12, CSSLOT_CODEDIRECTORY);
  view.setUint32(superblob + 16, SUPERBLOB_BYTES);

  const directory = superblob + SUPERBLOB_BYTES;
  const hashOffset = CODEDIRECTORY_BYTES + name.length;
  view.setUint32(directory, CSMAGIC_CODEDIRECTORY);
  view.setUint32(directory + 4, directoryBytes);
  view.setUint32(directory + 8, CODEDIRECTORY_VERSION);
  view.setUint32(directory + 12, FLAGS);
  view.setUint32(directory + 16, hashOffset);
  view.setUint32(directory + 20, CODEDIRECTORY_BYTES);
  // No special slots at +24: no entitlements, no Info.plist.
  view.setUint32(directory + 28, slots);
  view.setUint32(directory + 32, codeLimit);
  signed.set([HASH_BYTES, HASH_TYPE_SHA256, 0, PAGE_BITS], directory + 36);
  // Then scatter, team and the 64-bit code limit, all unused.
  view.setBigUint64(directory + 64, text.fileOffset);
  view.setBigUint64(directory + 72, text.fileBytes);
  view.setBigUint64(directory + 80, CS_EXECSEG_MAIN_BINARY);
  signed.set(name, directory + CODEDIRECTORY_BYTES);
  for (let slot = 0; slot < slots; slot++)
    signed.set(pageHash(signed, slot, codeLimit), directory + hashOffset + slot * HASH_BYTES);
  return signed;
}

interface Segment {
  /** Offset of the load command. */
  readonly command: number;
  readonly fileOffset: bigint;
  readonly fileBytes: bigint;
}

interface Layout {
  readonly text: Segment;
  readonly linkEdit: Segment;
  /** `offset` in the file, which is where the signed code ends. */
  readonly signature: { readonly command: number; readonly offset: number };
}

function readLayout(file: Uint8Array): Layout {
  const view = viewOf(file);
  if (view.getUint32(0, true) !== MH_MAGIC_64) throw new Error("Cannot sign: not a 64-bit Mach-O file");
  const segments = new Map<string, Segment>();
  let signature: Layout["signature"] | undefined;
  let command = MACH_HEADER_BYTES;
  for (let left = view.getUint32(16, true); left > 0; left--) {
    const type = view.getUint32(command, true);
    if (type === LC_SEGMENT_64) {
      const name = Buffer.from(file.subarray(command + 8, command + 24))
        .toString("latin1")
        .replace(/\0+$/, "");
      const fileOffset = view.getBigUint64(command + 40, true);
      segments.set(name, { command, fileOffset, fileBytes: view.getBigUint64(command + 48, true) });
    }
    if (type === LC_CODE_SIGNATURE) signature = { command, offset: view.getUint32(command + 8, true) };
    command += view.getUint32(command + 4, true);
  }
  const text = segments.get("__TEXT");
  const linkEdit = segments.get("__LINKEDIT");
  if (text === undefined || linkEdit === undefined || signature === undefined)
    throw new Error("Cannot sign: __TEXT, __LINKEDIT or LC_CODE_SIGNATURE is missing");
  return { text, linkEdit, signature };
}

function findCodeDirectory(view: DataView, superblob: number): number | undefined {
  for (let index = 0; index < view.getUint32(superblob + 8); index++) {
    const entry = superblob + 12 + index * 8;
    if (view.getUint32(entry) === CSSLOT_CODEDIRECTORY) return superblob + view.getUint32(entry + 4);
  }
  return undefined;
}

/** The last page ends with the code, it is not padded. */
function pageHash(file: Uint8Array, slot: number, codeLimit: number): Uint8Array {
  const page = file.subarray(slot * PAGE_BYTES, Math.min((slot + 1) * PAGE_BYTES, codeLimit));
  return Bun.SHA256.hash(page) as Uint8Array;
}

function viewOf(file: Uint8Array): DataView {
  return new DataView(file.buffer, file.byteOffset, file.byteLength);
}

function roundUp(value: bigint, unit: bigint): bigint {
  return ((value + unit - 1n) / unit) * unit;
}

import { parseIp } from "../../../../src/core/net/ip.ts";
import type { Transport } from "../../../../src/core/portmap/protocol.ts";
import type { Instant } from "../../../../src/core/time.ts";

/** What the gateway forwards: one entry for each internal port, whichever protocol asked for it (as miniupnpd does). */
export interface ModelMapping {
  readonly transport: Transport;
  readonly internalPort: number;
  readonly externalPort: number;
  /** PCP's owner, hex; empty when NAT-PMP made it. */
  readonly nonce: string;
  readonly endsAt: Instant;
}

/**
 * A gateway that speaks PCP and NAT-PMP, told by its datagrams and written from the RFCs' layouts without the codecs
 * under test. For one host behind it.
 */
export class ModelGateway {
  speaks = { pcp: true, natPmp: true };
  /** Result of every request for a mapping; 0 grants. */
  refuses = 0;
  /** How long PCP says that a refusal will last. */
  refusalSeconds = 30;
  maxLeaseSeconds = 7_200;
  address: string;
  #startedAt: Instant;
  #mappings: ModelMapping[] = [];

  constructor(now: Instant, address = "203.0.113.7") {
    this.address = address;
    this.#startedAt = now;
  }

  /** What is in force at `now`. */
  mappings(now: Instant): readonly ModelMapping[] {
    this.#mappings = this.#mappings.filter(({ endsAt }) => endsAt > now);
    return this.#mappings;
  }

  /** Everything is forgotten, the epoch starts again. */
  reboot(now: Instant): void {
    this.#mappings = [];
    this.#startedAt = now;
  }

  /** What it multicasts when it starts. */
  announcements(now: Instant): Uint8Array[] {
    const announcements: Uint8Array[] = [];
    if (this.speaks.pcp) announcements.push(this.#pcp(now, 0x80, 0, 0, new Uint8Array(0)));
    if (this.speaks.natPmp) announcements.push(this.#natPmpAddress(now));
    return announcements;
  }

  answer(now: Instant, request: Uint8Array): Uint8Array | undefined {
    if (request[0] === 2 && this.speaks.pcp) return this.#answerPcp(now, request);
    if (request[0] === 2 && this.speaks.natPmp) return this.#natPmp(now, 0x80 | (request[1] ?? 0), 1, []);
    if (request[0] === 0 && this.speaks.natPmp) return this.#answerNatPmp(now, request);
    return undefined;
  }

  #answerPcp(now: Instant, request: Uint8Array): Uint8Array {
    const view = new DataView(request.buffer, request.byteOffset, request.byteLength);
    const nonce = Buffer.from(request.subarray(24, 36)).toString("hex");
    const transport = request[36] === 17 ? "udp" : "tcp";
    const internalPort = view.getUint16(40);
    const known = this.#find(now, transport, internalPort);
    const lease = Math.min(view.getUint32(4), this.maxLeaseSeconds);
    const payload = request.slice(24, 60);
    if (known !== undefined && known.nonce !== nonce && known.nonce !== "")
      return this.#pcp(now, 0x81, 2, this.refusalSeconds, payload);
    if (lease > 0 && this.refuses !== 0) return this.#pcp(now, 0x81, this.refuses, this.refusalSeconds, payload);
    const port = this.#put(now, { transport, internalPort, nonce, lease, wish: view.getUint16(42) });
    new DataView(payload.buffer).setUint16(18, lease > 0 ? port : 0);
    payload.set(mapped(this.address), 20);
    return this.#pcp(now, 0x81, 0, lease, payload);
  }

  #answerNatPmp(now: Instant, request: Uint8Array): Uint8Array {
    if (request[1] === 0) return this.#natPmpAddress(now);
    const view = new DataView(request.buffer, request.byteOffset, request.byteLength);
    const opcode = 0x80 | (request[1] ?? 0);
    const transport = request[1] === 1 ? "udp" : "tcp";
    const internalPort = view.getUint16(4);
    const lease = Math.min(view.getUint32(8), this.maxLeaseSeconds);
    if (lease > 0 && this.refuses !== 0) return this.#natPmp(now, opcode, 2, []);
    const nonce = this.#find(now, transport, internalPort)?.nonce ?? "";
    const port = this.#put(now, { transport, internalPort, nonce, lease, wish: view.getUint16(6) });
    return this.#natPmp(now, opcode, 0, [...u16(internalPort), ...u16(lease > 0 ? port : 0), ...u32(lease)]);
  }

  #find(now: Instant, transport: Transport, internalPort: number): ModelMapping | undefined {
    return this.mappings(now).find((one) => one.transport === transport && one.internalPort === internalPort);
  }

  /** Renews, adds or (with lease 0) removes; the external port. */
  #put(
    now: Instant,
    asked: { transport: Transport; internalPort: number; nonce: string; lease: number; wish: number },
  ): number {
    const { transport, internalPort, nonce, lease, wish } = asked;
    const externalPort = this.#find(now, transport, internalPort)?.externalPort ?? (wish === 0 ? 50_000 : wish);
    this.#mappings = this.#mappings.filter((one) => one.transport !== transport || one.internalPort !== internalPort);
    if (lease > 0) this.#mappings.push({ transport, internalPort, externalPort, nonce, endsAt: now + lease * 1_000 });
    return externalPort;
  }

  #pcp(now: Instant, opcode: number, result: number, lifetime: number, payload: Uint8Array): Uint8Array {
    const zeros = new Uint8Array(12);
    return Uint8Array.from([2, opcode, 0, result, ...u32(lifetime), ...u32(this.#epoch(now)), ...zeros, ...payload]);
  }

  #natPmpAddress(now: Instant): Uint8Array {
    return this.#natPmp(now, 0x80, 0, parseIp(this.address) ?? []);
  }

  #natPmp(now: Instant, opcode: number, result: number, body: Iterable<number>): Uint8Array {
    return Uint8Array.from([0, opcode, ...u16(result), ...u32(this.#epoch(now)), ...body]);
  }

  #epoch(now: Instant): number {
    return Math.floor((now - this.#startedAt) / 1_000);
  }
}

function mapped(address: string): Uint8Array {
  return Uint8Array.from([...new Uint8Array(10), 0xff, 0xff, ...(parseIp(address) ?? [])]);
}

function u16(value: number): number[] {
  return [value >> 8, value & 0xff];
}

function u32(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
}

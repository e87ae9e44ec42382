import type { Candidate } from "../../../../src/core/ice/candidate.ts";
import { gatherCandidates } from "../../../../src/core/ice/gather.ts";
import { IceAgent, type IceEvent, type IceOptions } from "../../../../src/core/ice/ice-agent.ts";
import type { Transmit } from "../../../../src/core/machine.ts";
import { type Endpoint, formatEndpoint, parseEndpoint } from "../../../../src/core/net/endpoint.ts";
import type { StunAttributes } from "../../../../src/core/stun/attributes.ts";
import { FINGERPRINT_BYTES, fingerprintTlv } from "../../../../src/core/stun/fingerprint.ts";
import { integrityTlv, shortTermKey } from "../../../../src/core/stun/integrity.ts";
import { BINDING, decodeStun, encodeStun, type StunMessage } from "../../../../src/core/stun/message.ts";
import { HEADER_BYTES, writeTlv } from "../../../../src/core/stun/tlv.ts";
import { type Instant, NEVER } from "../../../../src/core/time.ts";
import { concat } from "../../../bytes.ts";
import { Random } from "../../../random.ts";

export const OURS = { ufrag: "ours", pwd: "ours-ours-ours-ours-ours" };
export const PEER = { ufrag: "peer", pwd: "peer-peer-peer-peer-peer" };
/** As the peer sees this agent. */
export const MAPPED = "198.51.100.2:40000";

export interface RequestOptions {
  readonly username?: string;
  readonly pwd?: string;
  readonly socket?: number;
  readonly id?: string;
  readonly attributes?: StunAttributes;
  /** Null: none. */
  readonly priority?: number | null;
  /** The type of an attribute that nobody knows, to be put in. */
  readonly unknown?: number;
  readonly fingerprint?: boolean;
}

export interface AnswerOptions {
  readonly mapped?: string;
  /** An error instead. */
  readonly code?: number;
  readonly from?: string;
  readonly pwd?: string;
}

export function candidate(address: string, priority = 1_000, some: Partial<Candidate> = {}): Candidate {
  return { type: "host", foundation: address, priority, endpoint: endpoint(address), ...some };
}

/**
 * One agent, whose peer is played by hand: everything that it sends or says becomes a line of `log`, with the time in
 * ms. A check is `check → ADDRESS`, with `nominating` behind it if it does; an answer `success → ADDRESS` or
 * `487 → ADDRESS`.
 */
export class IceBench {
  readonly agent: IceAgent;
  readonly events: IceEvent[] = [];
  readonly sent: { readonly to: string; readonly transmit: Transmit; readonly message: StunMessage }[] = [];
  #log: string[] = [];
  #requests = 0;
  now: Instant = 0;

  constructor(options: Partial<IceOptions> & { hosts?: readonly string[]; seed?: number } = {}) {
    const { hosts = ["10.1.0.11:5000"], seed = 1, ...rest } = options;
    const random = new Random(seed);
    const candidates = gatherCandidates(
      { hosts: hosts.map((host, socket) => ({ endpoint: endpoint(host), socket })), reflexive: [] },
      { includeLoopback: false },
    );
    const bytes = (length: number) => random.bytes(length);
    this.agent = new IceAgent({ random: bytes, controlling: true, local: OURS, candidates, ...rest });
  }

  /** Told of the peer and started. */
  static started(options: ConstructorParameters<typeof IceBench>[0], remotes: readonly Candidate[]): IceBench {
    const bench = new IceBench(options);
    bench.agent.setRemote(PEER);
    bench.agent.addRemotes(remotes, true);
    bench.agent.start(0);
    bench.#drain();
    return bench;
  }

  /** Since the last look. */
  get log(): string[] {
    return this.#log.splice(0);
  }

  start(): this {
    this.agent.start(this.now);
    return this.#drain();
  }

  /** Lets time pass, to `at` in all. */
  until(at: Instant): this {
    for (let next = this.agent.nextTimeout(); next <= at && next !== NEVER; next = this.agent.nextTimeout()) {
      this.now = Math.max(this.now, next);
      this.agent.handleTimeout(this.now);
      this.#drain();
    }
    this.now = at;
    return this;
  }

  /** A check of the peer; what is not told is right. */
  request(from: string, options: RequestOptions = {}): boolean {
    this.#requests += 1;
    const transactionId = options.id ?? this.#requests.toString(16).padStart(24, "0");
    const { username = `${OURS.ufrag}:${PEER.ufrag}`, priority = 1_000, pwd = OURS.pwd, unknown } = options;
    const attributes = { username, ...(priority === null ? {} : { priority }), ...options.attributes };
    const message = { class: "request", method: BINDING, transactionId, attributes } as const;
    const bare = encodeStun(message);
    const bytes = unknown === undefined ? bare : concat([bare, writeTlv(unknown, new Uint8Array(4))]);
    return this.receive(from, seal(bytes, pwd, options.fingerprint ?? true), options.socket);
  }

  /** The peer answers the last check that went to `to`. */
  answer(to: string, options: AnswerOptions = {}): boolean {
    return this.answerTo(
      this.sent.findLastIndex((one) => one.to === to && one.message.class === "request"),
      options,
    );
  }

  answerTo(index: number, { mapped = MAPPED, code, from, pwd = PEER.pwd }: AnswerOptions = {}): boolean {
    const asked = this.sent[index];
    if (asked === undefined) throw new Error("No such check was sent");
    const kind = code === undefined ? "success" : "error";
    const attributes =
      code === undefined ? { xorMappedAddress: endpoint(mapped) } : { errorCode: { code, reason: "no" } };
    const { transactionId } = asked.message;
    const payload = encodeStun(
      { class: kind, method: BINDING, transactionId, attributes },
      { integrity: { key: shortTermKey(pwd), algorithm: "sha1" }, fingerprint: true },
    );
    return this.receive(from ?? asked.to, payload, asked.transmit.socket);
  }

  receive(from: string, payload: Uint8Array, socket = 0): boolean {
    const taken = this.agent.handleDatagram(this.now, { socket, from: endpoint(from), payload });
    this.#drain();
    return taken;
  }

  get states(): string[] {
    return this.agent.pairs.map(({ remote, state }) => `${formatEndpoint(remote.endpoint)} ${state}`);
  }

  #drain(): this {
    for (let next = this.agent.pollTransmit(); next !== undefined; next = this.agent.pollTransmit()) {
      const decoded = decodeStun(next.payload);
      if (!decoded.ok) throw new Error(`The agent sent ${decoded.kind}`);
      const { message } = decoded;
      const to = formatEndpoint(next.to);
      const { errorCode, useCandidate } = message.attributes;
      const what = message.class === "request" ? "check" : (errorCode?.code ?? "success");
      this.sent.push({ to, transmit: next, message });
      this.#log.push(`${Math.round(this.now)} ${what} → ${to}${useCandidate ? " nominating" : ""}`);
    }
    for (let event = this.agent.pollEvent(); event !== undefined; event = this.agent.pollEvent()) {
      this.events.push(event);
      const detail = event.type === "selected" ? ` ${formatEndpoint(event.remote.endpoint)}` : "";
      this.#log.push(`${Math.round(this.now)} ${event.type === "failed" ? event.cause : event.type}${detail}`);
    }
    return this;
  }
}

export function endpoint(text: string): Endpoint {
  const parsed = parseEndpoint(text);
  if (parsed === undefined) throw new Error(`${text} is no address`);
  return parsed;
}

/** A message with integrity and fingerprint behind what it holds. */
function seal(message: Uint8Array, pwd: string, fingerprint: boolean): Uint8Array {
  const whole = concat([message, integrityTlv(message, { key: shortTermKey(pwd), algorithm: "sha1" })]);
  setLength(whole, whole.length + (fingerprint ? FINGERPRINT_BYTES : 0));
  return fingerprint ? concat([whole, fingerprintTlv(whole)]) : whole;
}

/** In the header: what follows it, of `total` bytes. */
function setLength(message: Uint8Array, total: number): void {
  new DataView(message.buffer, message.byteOffset).setUint16(2, total - HEADER_BYTES);
}

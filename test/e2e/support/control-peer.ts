import type { Endpoint } from "../../../src/core/net/endpoint.ts";
import type { StunAttributes } from "../../../src/core/stun/attributes.ts";
import { shortTermKey } from "../../../src/core/stun/integrity.ts";
import { StunTransaction } from "../../../src/core/stun/transaction.ts";
import { encodeChannelData, HEADER_BYTES, PREFIX_BYTES } from "../../../src/core/wire/pdu.ts";
import type { SignalInput } from "../../../src/core/wire/signal.ts";
import { now } from "../../../src/io/clock.ts";
import { drive } from "../../../src/io/drive.ts";
import type { TlsIdentity } from "../../../src/io/lanes/tls-lane.ts";
import { openFan } from "../../../src/io/udp/udp-fan.ts";
import { controlPdu, type RawLane, rawLane } from "./raw-lane.ts";
import { until } from "./until.ts";

type Message = Record<string, unknown>;

/** A control connection that says exactly what a test wants, and answers pings of its own accord. */
export interface ControlPeer extends Disposable {
  readonly sessionId: string;
  readonly lane: RawLane;
  say(signal: SignalInput): void;
  /** The `nth` message of `type`, from 0, as soon as it is here. */
  heard(type: SignalInput["type"] | "hello_ack" | "goodbye" | "err", nth?: number): Promise<Message>;
  /** All of a type until now. */
  all(type: string): Message[];
  /** Asks the server's STUN under the credential of this connection; undefined: not seen as its owner. */
  stun(sends?: number): Promise<Endpoint | undefined>;
}

export interface ControlPeerOptions {
  readonly port: number;
  readonly identity: TlsIdentity;
  readonly sessionId?: string;
}

/** Resolves once the server has answered the hello. */
export async function controlPeer(options: ControlPeerOptions): Promise<ControlPeer> {
  const { port, identity, sessionId = crypto.randomUUID() } = options;
  const lane = await rawLane({ port, identity });
  lane.hello({ kind: "control", session_id: sessionId, caps: [] });
  const all = (type: string) => lane.controls.filter((message) => message.type === type);
  const say = (signal: SignalInput) => lane.send(controlPdu(signal));
  let answered = 0;
  lane.socket.on("data", () => {
    for (const { id } of all("ping").slice(answered)) {
      answered++;
      say({ type: "pong", id: Number(id) });
    }
  });
  const heard = async (type: string, nth = 0): Promise<Message> => {
    await until(
      `message ${nth} of type ${type}, heard ${lane.controls.map((one) => one.type)}`,
      () => all(type).length > nth,
    );
    return all(type)[nth] as Message;
  };
  await heard("hello_ack");
  return {
    sessionId,
    lane,
    say,
    heard,
    all,
    async stun(sends = 4) {
      const { username, password, port: stunPort } = await heard("stun_credential");
      return seenAs({ address: "127.0.0.1", port: Number(stunPort) }, String(username), String(password), sends);
    },
    [Symbol.dispose]: () => lane[Symbol.dispose](),
  };
}

/** Two requests: the second one shows the NONCE that the first was answered with, and only then the server believes. */
async function seenAs(to: Endpoint, username: string, password: string, sends: number): Promise<Endpoint | undefined> {
  using fan = await openFan([{ address: "127.0.0.1" }]);
  const ask = async (nonce: string | undefined) => {
    const { promise, resolve } = Promise.withResolvers<StunAttributes | undefined>();
    const transaction = new StunTransaction({
      now: now(),
      to,
      transactionId: crypto.getRandomValues(new Uint8Array(12)).toHex(),
      attributes: nonce === undefined ? { username } : { username, nonce },
      encode: { integrity: { key: shortTermKey(password), algorithm: "sha256" } },
      timing: { rtoMs: 500, sends, lastWait: 1 },
    });
    using _driven = drive(transaction, fan, (outcome) =>
      resolve(outcome.kind === "success" ? outcome.message.attributes : undefined),
    );
    return await promise;
  };
  const first = await ask(undefined);
  return first && (await ask(first.nonce))?.xorMappedAddress;
}

/** One DATA PDU of a pipe. */
export function channelPdu(channel: number, datagram: Uint8Array): Uint8Array {
  const pdu = new Uint8Array(HEADER_BYTES + PREFIX_BYTES + datagram.length);
  encodeChannelData(pdu, 0, datagram, channel);
  return pdu;
}

/** Text that has the shape of a signed offer; the server can judge no more of it than that. */
export function shapedOffer(name: string): { body: string; certificate: string; signature: string } {
  return { body: name, certificate: "certificate", signature: "signature" };
}

/** A pipe to `to`, which is office's process, open at both ends; the channels of both. */
export async function openPipe(from: ControlPeer, to: ControlPeer): Promise<{ near: number; far: number }> {
  to.say({ type: "register", node: "raw" });
  await to.heard("registered");
  from.say({ type: "open_p2p", request_id: 1, to: "office", service: "wireguard", offer: shapedOffer("offer") });
  const far = Number((await to.heard("p2p_incoming")).channel);
  to.say({ type: "p2p_accept", channel: far, answer: shapedOffer("answer") });
  await to.heard("p2p_opened");
  return { near: Number((await from.heard("p2p_opened")).channel), far };
}

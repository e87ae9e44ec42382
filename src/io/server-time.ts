import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import type { Socket, SocketHandler } from "bun";
import { decodeControl, encodeControl, MAX_CTRL_BYTES } from "../core/wire/control.ts";
import { ctrlPdu } from "../core/wire/ctrl-pdu.ts";
import { PduDecoder, TYPE_CTRL } from "../core/wire/pdu.ts";
import { now } from "./clock.ts";
import type { TlsIdentity } from "./lanes/tls-lane.ts";
import { certificatesIn } from "./pki/pem.ts";
import { findChain } from "./pki/pki-chain.ts";
import { unlessAborted } from "./unless-aborted.ts";

export interface ServerTimeOptions {
  readonly address: string;
  readonly port: number;
  /** The name that the server's certificate must carry. */
  readonly serverName: string;
  /** Its dates do not matter here, but they do to the server. */
  readonly identity: TlsIdentity;
  readonly node: string;
  readonly signal: AbortSignal;
}

export interface ServerTime {
  /** The server's clock minus this one's, known to half of `rttMs`. */
  readonly offsetMs: number;
  readonly rttMs: number;
}

/** From the first packet to the answer. */
const ANSWER_MS = 3_000;

/**
 * What a server's clock says, for a node whose own may be so wrong that no certificate seems valid to it. The server must
 * be of the CA and of the right name, whatever its dates; nothing but the question is sent to it, and its answer is worth
 * a hint to a person. Undefined where there is no such server, or it does not let this node in either.
 */
export async function askServerTime(options: ServerTimeOptions): Promise<ServerTime | undefined> {
  const { address, port, serverName, identity, signal } = options;
  const answer = Promise.withResolvers<ServerTime | undefined>();
  const limit = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
  const { ca, cert, key } = identity;
  const dialled = Bun.connect({
    hostname: address,
    port,
    tls: { ca, cert, key, serverName, rejectUnauthorized: false },
    socket: question(options, answer.resolve),
  });
  dialled.catch(() => answer.resolve(undefined));
  await unlessAborted(answer.promise, limit);
  // One that is yet to come about ends as soon as it does.
  dialled.then((socket) => socket.terminate()).catch(() => {});
  return limit.aborted ? undefined : answer.promise;
}

/** The question to a server that is ours, and its answer; undefined is told when there will be none. */
function question(
  { identity, serverName, node }: ServerTimeOptions,
  tell: (time: ServerTime | undefined) => void,
): SocketHandler {
  const decoder = new PduDecoder({ maxCtrlBytes: MAX_CTRL_BYTES });
  const session_id = crypto.randomUUID();
  const hello = encodeControl({ type: "hello", kind: "control", session_id, lane_id: 0, node });
  let askedAt = { wall: 0, monotonic: 0 };
  const giveUp = () => tell(undefined);
  return {
    handshake(socket) {
      if (!isOurs(socket, identity.ca, serverName)) return giveUp();
      askedAt = { wall: Date.now(), monotonic: now() };
      socket.write(ctrlPdu(hello));
    },
    data(_socket, chunk) {
      decoder.feed(chunk);
      const next = decoder.next();
      if (next === "need-more") return;
      const time = next === "pdu" ? toldTime(decoder) : undefined;
      const rttMs = now() - askedAt.monotonic;
      tell(time === undefined ? undefined : { offsetMs: time - (askedAt.wall + rttMs / 2), rttMs });
    },
    error: giveUp,
    close: giveUp,
    connectError: giveUp,
  };
}

/** All that TLS would ask, but for the dates. */
function isOurs(socket: Pick<Socket, "getPeerCertificate">, ca: string, serverName: string): boolean {
  const { raw } = socket.getPeerCertificate() as { raw?: Uint8Array };
  if (raw === undefined) return false;
  const leaf = new X509Certificate(raw);
  const isNamed = isIP(serverName) === 0 ? leaf.checkHost(serverName) : leaf.checkIP(serverName);
  return isNamed !== undefined && findChain(leaf, [], certificatesIn(ca)).ok;
}

/** Of a greeting, which is the first thing that a server says. */
function toldTime({ type, payload }: PduDecoder): number | undefined {
  const control = type === TYPE_CTRL ? decodeControl(payload) : undefined;
  return control?.ok === true && control.message.type === "hello_ack" ? control.message.time : undefined;
}

import type { SocketHandler, TCPSocketListener } from "bun";
import { UtError } from "../../core/error.ts";
import { formatEndpoint } from "../../core/net/endpoint.ts";
import { HandshakeGate } from "../../core/tunnel/handshake-gate.ts";
import { encodeControl } from "../../core/wire/control.ts";
import { ctrlPdu } from "../../core/wire/ctrl-pdu.ts";
import type { FrameErrorKind } from "../../core/wire/pdu.ts";
import { bindProblem } from "../bind-problem.ts";
import { HttpsVisitor } from "./https-visitor.ts";
import type { LaneTransport, OpenLaneHandlers } from "./lane-transport.ts";
import {
  HANDSHAKE_TIMEOUT_MS,
  HTTP_ALPN,
  type LaneSocket,
  lost,
  peerName,
  type TlsIdentity,
  TlsLane,
} from "./tls-lane.ts";
import { type HandshakeFailure, judgePeer, type TlsVerdict } from "./tls-verdict.ts";
import { WebSocketLane } from "./web-socket-lane.ts";

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  readonly identity: TlsIdentity;
  /** CNs whose certificates are valid but not wanted. */
  readonly denyCn: readonly string[];
  /** Lanes are WebSockets at this path, and everybody else meets an ordinary HTTPS server (`tcp.transport: wss`). */
  readonly webSocketPath?: string | undefined;
}

export interface ListenHandlers {
  /** An authenticated connection; says who hears of it from here on. */
  accept(transport: LaneTransport, handshakeMs: number): OpenLaneHandlers;
  /** A connection that did not become a lane, and why. */
  refused(reason: HandshakeFailure, remote: string, detail: string): void;
  /** A lane's peer broke the framing below the PDUs (wss); the lane is ending. */
  broken?(transport: LaneTransport, kind: FrameErrorKind): void;
}

export interface LaneListener extends Disposable {
  readonly host: string;
  readonly port: number;
  /** Connections that are no lanes yet. */
  readonly pending: number;
  /** Stop accepting; open lanes live on. */
  stop(): void;
}

/**
 * Listen for mutual-TLS lanes. A connection reaches `accept` only with a valid certificate of our CA and one proper
 * CN, and with a `webSocketPath` only by a request for it; before that it counts against the limits of `HandshakeGate`.
 * Throws `io.bind`.
 */
export function listenTlsLanes(options: ListenOptions, handlers: ListenHandlers): LaneListener {
  const { host, port, identity, webSocketPath } = options;
  const isStrict = webSocketPath === undefined;
  const gate = new HandshakeGate<TlsLane>();
  let listener: TCPSocketListener<TlsLane>;
  try {
    listener = Bun.listen<TlsLane>({
      hostname: host,
      port,
      data: new TlsLane(),
      tls: {
        ca: identity.ca,
        cert: identity.cert,
        key: identity.key,
        requestCert: true,
        rejectUnauthorized: isStrict,
        ...(isStrict ? {} : { ALPNProtocols: HTTP_ALPN }),
      },
      socket: socketHandlers({ gate, options, handlers, told: new WeakSet() }),
    });
  } catch (cause) {
    throw new UtError(
      "io.bind",
      `Cannot listen on TCP ${formatEndpoint({ address: host, port })}: ${bindProblem(cause)}; set tcp.listen_addr to a free address`,
      { cause, details: { host, port } },
    );
  }
  return {
    host,
    port: listener.port,
    get pending() {
      return gate.size;
    },
    stop: () => listener.stop(false),
    [Symbol.dispose]: () => listener.stop(true),
  };
}

/** What all connections of a listener meet on their way in. */
interface Door {
  readonly gate: HandshakeGate<TlsLane>;
  readonly options: ListenOptions;
  readonly handlers: ListenHandlers;
  /** Whose reason has been told, but who may stay: a visitor for another page, another to hear it. */
  readonly told: WeakSet<TlsLane>;
}

function socketHandlers(door: Door): SocketHandler<TlsLane> {
  const { gate, options, handlers } = door;
  return {
    // Bun's types let a listener have Buffers only; plain arrays are cheaper and all that is needed.
    binaryType: "uint8array" as "buffer",
    open(socket) {
      const lane = new TlsLane();
      socket.data = lane;
      lane.connected(socket, HANDSHAKE_TIMEOUT_MS, () => refuse(door, lane, "timeout", "no TLS handshake within 10 s"));
      for (const crowded of gate.enter(lane, socket.remoteAddress)) {
        handlers.refused("crowded_out", crowded.remote, "too many connections without a handshake");
        crowded.terminate();
      }
    },
    handshake(socket, success, error) {
      const failure = judgePeer(socket, success, error, options.denyCn);
      if (success && options.webSocketPath !== undefined) visit(door, socket, options.webSocketPath, failure);
      else if (failure !== undefined) turnAway(door, socket.data, failure);
      else accept(door, socket);
    },
    data: (socket, chunk) => socket.data.received(chunk),
    drain: (socket) => socket.data.drained(),
    error: (socket, error) => socket.data.fail(lost(error)),
    close(socket, error) {
      const lane = socket.data;
      refuse(door, lane, "closed", `the connection ended before its ${lane.isReady ? "request" : "TLS handshake"}`);
      lane.gone(error ? lost(error) : undefined);
    },
  };
}

/** Only what is still pending is refused: an eviction, say, has told its reason already. */
function refuse({ gate, told, handlers }: Door, lane: TlsLane, reason: HandshakeFailure, detail: string): void {
  if (gate.leave(lane) && !told.has(lane)) handlers.refused(reason, lane.remote, detail);
  lane.terminate();
}

/** Whom the CA vouches for, and who is only not wanted, hears why. */
function turnAway(door: Door, lane: TlsLane, { reason, detail }: TlsVerdict): void {
  if (reason !== "denied_cn" || !door.gate.has(lane)) {
    refuse(door, lane, reason, detail);
    return;
  }
  door.told.add(lane);
  door.handlers.refused(reason, lane.remote, detail);
  const last = ctrlPdu(encodeControl({ type: "err", kind: reason, message: detail }));
  lane.write(last, 0, last.length);
  // It counts as pending until it has gone.
  lane.end();
}

function accept({ gate, handlers }: Door, socket: LaneSocket): void {
  const lane = socket.data;
  // It may have been crowded out while its handshake was under way.
  if (!gate.leave(lane)) return;
  socket.setNoDelay(true);
  lane.ready(socket, peerName(socket));
  lane.adopt(handlers.accept(lane, lane.ageMs));
}

/** Somebody at a web site, until a request shows more. Counts as pending for as long as it stays. */
function visit(door: Door, socket: LaneSocket, path: string, verdict: TlsVerdict | undefined): void {
  const lane = socket.data;
  if (!door.gate.has(lane)) return;
  socket.setNoDelay(true);
  lane.ready(socket, verdict === undefined ? peerName(socket) : undefined);
  lane.expect(HANDSHAKE_TIMEOUT_MS, () => refuse(door, lane, "timeout", "no request within 10 s"));
  const hooks = {
    turnedAway({ reason, detail }: TlsVerdict) {
      door.told.add(lane);
      door.handlers.refused(reason, lane.remote, detail);
    },
    upgraded: (rest: Uint8Array) => upgrade(door, lane, rest),
  };
  lane.adopt(new HttpsVisitor(lane, { path, verdict }, hooks));
}

function upgrade({ gate, handlers }: Door, lane: TlsLane, rest: Uint8Array): void {
  if (!gate.leave(lane)) return;
  const webSocket = new WebSocketLane(lane, "server", (kind) => handlers.broken?.(webSocket, kind));
  lane.adopt(webSocket);
  webSocket.adopt(handlers.accept(webSocket, lane.ageMs));
  if (rest.length > 0) webSocket.data(rest);
}

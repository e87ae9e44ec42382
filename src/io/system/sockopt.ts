import { getsockopt, setsockopt } from "./libc.ts";

/**
 * Socket options by name, each answering whether the system took it. Numbers from Linux `tcp.h`, `socket.h`, `in.h`
 * and macOS `netinet/tcp.h`, `sys/socket.h`.
 */
const IPPROTO_IP = 0;
const IPPROTO_IPV6 = 41;
const IPPROTO_TCP = 6;
const linux = process.platform === "linux";
const SOL_SOCKET = linux ? 1 : 0xffff;
const SO_SNDBUF = linux ? 7 : 0x1001;
const SO_RCVBUF = linux ? 8 : 0x1002;
const SO_LINGER = linux ? 13 : 0x80;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const SO_MAX_PACING_RATE = 47;
/** The kernel's own word for none, as a u32. */
const NO_PACING_LIMIT = 0xffff_ffff;
const TCP_NODELAY = 1;
const TCP_INFO = 11;
const TCP_CONGESTION = 13;
const TCP_USER_TIMEOUT = 18;
const TCP_NOTSENT_LOWAT = linux ? 25 : 0x201;
/** macOS: give up a connection when sent data stays unacknowledged for so many seconds. */
const TCP_RXT_CONNDROPTIME = 0x80;
const IP_RECVERR = 11;
const IPV6_RECVERR = 25;
const IP_MTU_DISCOVER = 10;
const IPV6_MTU_DISCOVER = 23;
/** Linux `in.h`: never fragmented, on this host neither, whatever it believes to know of the path. */
const PMTUDISC_PROBE = 3;
/** macOS `netinet/in.h` and `netinet6/in6.h`. */
const IP_DONTFRAG = 28;
const IPV6_DONTFRAG = 62;

/** Off lets Nagle's algorithm hold a small write back until the one before is acknowledged. */
export function setNoDelay(fd: number, on: boolean): boolean {
  return setInteger(fd, IPPROTO_TCP, TCP_NODELAY, on ? 1 : 0);
}

/** Linux: the most that TCP sends on this socket, bytes a second; Infinity lifts it. */
export function setMaxPacingRate(fd: number, bytesPerSecond: number): boolean {
  return linux && setInteger(fd, SOL_SOCKET, SO_MAX_PACING_RATE, Math.min(NO_PACING_LIMIT, Math.round(bytesPerSecond)));
}

/** On: a socket that is closed, by whatever ends the process too, tells its peer RST and not FIN. */
export function setResetOnClose(fd: number, on: boolean): boolean {
  // `struct linger { int l_onoff; int l_linger; }`, with no time to linger.
  const linger = new Int32Array(new ArrayBuffer(8));
  linger[0] = on ? 1 : 0;
  return setsockopt(fd, SOL_SOCKET, SO_LINGER, new Uint8Array(linger.buffer)) === 0;
}

/** Keep the kernel's unsent part small, so that the backlog stays in our queue. */
export function setNotSentLowat(fd: number, bytes: number): boolean {
  return setInteger(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, bytes);
}

/** End the connection when sent data stays unacknowledged for so long. */
export function setUserTimeout(fd: number, ms: number): boolean {
  return linux
    ? setInteger(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, ms)
    : setInteger(fd, IPPROTO_TCP, TCP_RXT_CONNDROPTIME, Math.ceil(ms / 1_000));
}

export function setSendBuffer(fd: number, bytes: number): boolean {
  return (linux && setInteger(fd, SOL_SOCKET, SO_SNDBUFFORCE, bytes)) || setInteger(fd, SOL_SOCKET, SO_SNDBUF, bytes);
}

/** Beyond `net.core.rmem_max` only with CAP_NET_ADMIN; without it the system takes what it allows. */
export function setReceiveBuffer(fd: number, bytes: number): boolean {
  return (linux && setInteger(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes)) || setInteger(fd, SOL_SOCKET, SO_RCVBUF, bytes);
}

/**
 * Bun sets IP_RECVERR, which makes the send after an ICMP error throw and lose a datagram that was meant for somebody
 * healthy. Nothing here needs the error queue.
 */
export function clearReceiveErrors(fd: number): boolean {
  if (!linux) return true;
  const v4 = setInteger(fd, IPPROTO_IP, IP_RECVERR, 0);
  return setInteger(fd, IPPROTO_IPV6, IPV6_RECVERR, 0) || v4;
}

/**
 * A datagram that is too large for its way is dropped instead of cut in pieces: only then a size that arrives whole says
 * something about the path. False: it may be cut.
 */
export function setDontFragment(fd: number): boolean {
  const [v4, v6, on] = linux ? [IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_PROBE] : [IP_DONTFRAG, IPV6_DONTFRAG, 1];
  const six = setInteger(fd, IPPROTO_IPV6, v6, on);
  return setInteger(fd, IPPROTO_IP, v4, on) || six;
}

/** Linux only; false where the kernel does not have the algorithm or does not allow it to this user. */
export function setCongestionControl(fd: number, name: string): boolean {
  return linux && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, new TextEncoder().encode(name)) === 0;
}

export function getCongestionControl(fd: number): string | undefined {
  const name = new Uint8Array(16);
  const length = linux ? getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name) : -1;
  return length < 0 ? undefined : new TextDecoder().decode(name.subarray(0, name.indexOf(0)));
}

/** What the kernel knows of a connection. Linux `struct tcp_info`; macOS has another one, which is not read. */
export interface TcpInfo {
  readonly congestionState: number;
  /** Retransmission timeouts in a row without an answer: > 0 means that the path has gone silent. */
  readonly backoff: number;
  readonly unackedSegments: number;
  readonly lastAckMs: number;
  readonly rttMs: number;
  readonly rttVarMs: number;
  readonly minRttMs: number;
  readonly sendCwnd: number;
  readonly mss: number;
  readonly totalRetransmits: number;
  /** Data segments, retransmissions included. */
  readonly segmentsOut: number;
  readonly unsentBytes: number;
  readonly deliveryRate: number;
  readonly bytesAcked: number;
}

const buffer = new Uint8Array(256);
const view = new DataView(buffer.buffer);
const NO_MIN_RTT = 0xffff_ffff;

/** Undefined where the system has no TCP_INFO that this program can read. */
export function tcpInfo(fd: number): TcpInfo | undefined {
  if (!linux) return undefined;
  // Offsets up to tcpi_delivery_rate (160) exist since Linux 4.9.
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, buffer) < 168) return undefined;
  const minRtt = view.getUint32(148, true);
  return {
    congestionState: buffer[1] ?? 0,
    backoff: buffer[4] ?? 0,
    mss: view.getUint32(16, true),
    unackedSegments: view.getUint32(24, true),
    lastAckMs: view.getUint32(56, true),
    rttMs: view.getUint32(68, true) / 1_000,
    rttVarMs: view.getUint32(72, true) / 1_000,
    sendCwnd: view.getUint32(80, true),
    totalRetransmits: view.getUint32(100, true),
    bytesAcked: Number(view.getBigUint64(120, true)),
    segmentsOut: view.getUint32(156, true),
    unsentBytes: view.getUint32(144, true),
    minRttMs: minRtt === NO_MIN_RTT ? 0 : minRtt / 1_000,
    deliveryRate: Number(view.getBigUint64(160, true)),
  };
}

/** Linux `TCP_CA_Recovery`: a lost segment is being sent again; `TCP_CA_Loss` (4): after a timeout. */
const CA_RECOVERY = 3;
/** TCP_INFO up to tcpi_notsent_bytes. */
const WINDOW_BYTES = 148;

/**
 * The two facts that a scheduler needs of a lane, without an allocation: bytes that the congestion window still lets
 * out (negative when unsent bytes wait already), or NaN where nobody knows; and whether a loss is being repaired.
 */
export function readWindow(fd: number, into: { window: number; recovering: boolean }): void {
  if (!linux || getsockopt(fd, IPPROTO_TCP, TCP_INFO, buffer) < WINDOW_BYTES) return;
  const free = view.getUint32(80, true) - view.getUint32(24, true) + sackedAndLost();
  into.window = free * view.getUint32(16, true) - view.getUint32(144, true);
  into.recovering = (buffer[1] ?? 0) >= CA_RECOVERY;
}

/** Segments that are no longer in flight although nobody acknowledged them: tcpi_sacked + tcpi_lost - tcpi_retrans. */
function sackedAndLost(): number {
  return view.getUint32(28, true) + view.getUint32(32, true) - view.getUint32(36, true);
}

const cell = new Int32Array(1);
const cellBytes = new Uint8Array(cell.buffer);

function setInteger(fd: number, level: number, option: number, value: number): boolean {
  cell[0] = value;
  return setsockopt(fd, level, option, cellBytes) === 0;
}

import { Latencies } from "../latencies.ts";

/** The largest datagram there is over IPv4; macOS sends none above 9,216 (net.inet.udp.maxdgram). */
export const MAX_DATAGRAM_BYTES = process.platform === "darwin" ? 9_216 : 65_507;
/** The ends of the range, and what stands at a border: headers, WireGuard's handshakes, MTUs, jumbo frames. */
export const EDGE_SIZES: readonly number[] = [0, 1, 3, 4, 64, 92, 148, 1_280, 1_420, 1_472, 9_000, MAX_DATAGRAM_BYTES];
/** Smaller ones cannot carry their number: they travel alone. */
const NUMBER_BYTES = 4;
/** Told in full; of a thousand more of the same kind only the count says anything. */
const MAX_FINDINGS = 5;

interface Flight {
  readonly size: number;
  readonly sentAt: number;
}

/**
 * Numbered datagrams of mixed sizes with contents of their own, and the verdict over what comes back: each exactly
 * once, every byte as it was. Knows no socket and no clock; the same seed makes the same datagrams.
 */
export class DemoTraffic {
  sent = 0;
  sentBytes = 0;
  /** Came back unchanged, for the first time. */
  back = 0;
  backBytes = 0;
  lost = 0;
  changed = 0;
  /** Came back once more, or were never sent. */
  surplus = 0;
  /** Round trips of `back`, in ms. */
  readonly latencies = new Latencies();
  /** What went wrong, for a person; the first few. */
  readonly findings: string[] = [];

  readonly #flights = new Map<number, Flight>();
  #flightBytes = 0;
  readonly #noise: Uint8Array;
  #random: number;

  constructor(seed: number) {
    this.#random = seed >>> 0 || 1;
    this.#noise = new Uint8Array(2 * MAX_DATAGRAM_BYTES);
    const words = new Uint32Array(this.#noise.buffer, 0, this.#noise.length >>> 2);
    for (let i = 0; i < words.length; i++) words[i] = this.#next();
  }

  get inFlight(): number {
    return this.#flights.size;
  }

  get inFlightBytes(): number {
    return this.#flightBytes;
  }

  /** The next datagram to send, of `size` bytes or of whatever size comes. Valid until the one after it. */
  make(now: number, size = this.#size()): Uint8Array {
    const seq = this.sent++;
    this.#flights.set(seq, { size, sentAt: now });
    this.#flightBytes += size;
    this.sentBytes += size;
    return this.#contents(seq, size);
  }

  /** A datagram came back. */
  take(now: number, datagram: Uint8Array): void {
    const seq = this.#identify(datagram);
    const flight = this.#flights.get(seq);
    if (flight === undefined) {
      this.surplus++;
      this.#found(
        seq < this.sent ? `datagram ${seq} came back twice` : `${datagram.length} bytes came that nobody sent`,
      );
      return;
    }
    this.#land(seq, flight);
    const difference = firstDifference(this.#contents(seq, flight.size), datagram);
    if (difference !== undefined) {
      this.changed++;
      this.#found(`datagram ${seq} came back changed: ${difference}`);
      return;
    }
    this.back++;
    this.backBytes += flight.size;
    this.latencies.add(now - flight.sentAt);
  }

  /** Wait no longer: what is still under way is lost. */
  giveUp(): void {
    for (const [seq, flight] of this.#flights) {
      this.#land(seq, flight);
      this.lost++;
      this.#found(`datagram ${seq} of ${flight.size} bytes never came back`);
    }
  }

  #land(seq: number, flight: Flight): void {
    this.#flights.delete(seq);
    this.#flightBytes -= flight.size;
  }

  /** One without room for a number is the only one under way. */
  #identify(datagram: Uint8Array): number {
    const [only] = this.#flights.size === 1 ? this.#flights : [];
    if (only !== undefined && (only[1].size < NUMBER_BYTES || datagram.length < NUMBER_BYTES)) return only[0];
    if (datagram.length < NUMBER_BYTES) return Number.POSITIVE_INFINITY;
    return new DataView(datagram.buffer, datagram.byteOffset).getUint32(0);
  }

  /** Bytes that depend on the number alone: noise from a place of its own, with the number in front. */
  #contents(seq: number, size: number): Uint8Array {
    const start = (Math.imul(seq, 0x9e37_79b1) >>> 0) % (this.#noise.length - MAX_DATAGRAM_BYTES);
    const bytes = this.#noise.slice(start, start + size);
    if (size >= NUMBER_BYTES) new DataView(bytes.buffer).setUint32(0, seq);
    return bytes;
  }

  /** Much like what WireGuard carries: mostly full packets and acknowledgements, now and then something huge. */
  #size(): number {
    const share = this.#next() % 1_000;
    if (share < 600) return this.#between(1_200, 1_452);
    if (share < 900) return this.#between(64, 300);
    if (share < 995) return this.#between(300, 1_200);
    if (share < 999) return this.#between(1_453, 9_000);
    return MAX_DATAGRAM_BYTES;
  }

  #between(min: number, max: number): number {
    return min + (this.#next() % (max - min + 1));
  }

  /** Marsaglia's xorshift32: repeatable, and fast enough not to be measured. */
  #next(): number {
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x >>> 0;
    return this.#random;
  }

  #found(what: string): void {
    if (this.findings.length < MAX_FINDINGS) this.findings.push(what);
  }
}

function firstDifference(expected: Uint8Array, got: Uint8Array): string | undefined {
  if (expected.length !== got.length) return `${expected.length} bytes were sent, ${got.length} came`;
  // Native and hundreds of times faster than the loop below, which has something to find.
  if (Buffer.compare(expected, got) === 0) return undefined;
  const at = expected.findIndex((byte, index) => byte !== got[index]);
  return `byte ${at} was ${hex(expected[at])}, came as ${hex(got[at])}`;
}

function hex(byte = 0): string {
  return `0x${byte.toString(16).padStart(2, "0")}`;
}

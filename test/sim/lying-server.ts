import type { Datagram, Machine, Transmit } from "../../src/core/machine.ts";
import type { Endpoint } from "../../src/core/net/endpoint.ts";
import type { StunAttributes } from "../../src/core/stun/attributes.ts";
import { decodeStun, encodeStun, type StunMessage } from "../../src/core/stun/message.ts";
import { type Instant, NEVER } from "../../src/core/time.ts";
import type { Random } from "../random.ts";

/** Ways in which a STUN server can be wrong; each answers the address of its first socket, some from its second. */
export const LIES = [
  "random-address",
  "random-port",
  "constant",
  "somebody-else",
  "nobody",
  "garbage",
  "error",
  "wrong-transaction",
  "another-source",
  "no-address",
  "victim-as-other",
  "multicast-as-other",
  "deaf-to-changes",
] as const;
export type Lie = (typeof LIES)[number];

const CONSTANT: Endpoint = { address: "192.0.2.1", port: 4_711 };
export const VICTIM: Endpoint = { address: "203.0.113.99", port: 53 };

/** A STUN server that lies in one way. The truth but for `lie` is what `StunServer` says. */
export class LyingServer implements Machine<never> {
  readonly #lie: Lie;
  readonly #random: Random;
  readonly #transmits: Transmit[] = [];
  #previous: Endpoint | undefined;

  constructor(lie: Lie, random: Random) {
    this.#lie = lie;
    this.#random = random;
  }

  handleDatagram(_now: Instant, { from, payload }: Datagram): void {
    const decoded = decodeStun(payload);
    if (!decoded.ok) return;
    const socket = this.#lie === "another-source" ? 1 : 0;
    this.#transmits.push({ socket, to: from, payload: this.#answer(decoded.message, from) });
    this.#previous = from;
  }

  handleTimeout(): void {}

  pollTransmit(): Transmit | undefined {
    return this.#transmits.shift();
  }

  pollEvent(): undefined {
    return undefined;
  }

  nextTimeout(): Instant {
    return NEVER;
  }

  #answer(request: StunMessage, from: Endpoint): Uint8Array {
    const random = this.#random;
    if (this.#lie === "garbage") return random.bytes(random.between(0, 64));
    const transactionId = this.#lie === "wrong-transaction" ? random.bytes(12).toHex() : request.transactionId;
    if (this.#lie === "error") {
      const attributes = { errorCode: { code: 500, reason: "Server Error" } };
      return encodeStun({ ...request, class: "error", transactionId, attributes });
    }
    return encodeStun({ ...request, class: "success", transactionId, attributes: this.#attributes(from) });
  }

  #attributes(from: Endpoint): StunAttributes {
    const random = this.#random;
    const port = random.between(1, 65_535);
    switch (this.#lie) {
      case "random-address":
        return { xorMappedAddress: { address: `198.18.${random.below(256)}.${random.below(256)}`, port } };
      case "random-port":
        return { xorMappedAddress: { ...from, port } };
      case "constant":
        return { xorMappedAddress: CONSTANT };
      case "somebody-else":
        return { xorMappedAddress: this.#previous ?? CONSTANT };
      case "nobody":
        return { xorMappedAddress: { address: "0.0.0.0", port: 0 } };
      case "no-address":
        return {};
      case "victim-as-other":
        return { xorMappedAddress: from, otherAddress: VICTIM };
      case "multicast-as-other":
        return { xorMappedAddress: from, otherAddress: { address: "239.1.2.3", port } };
      default:
        return { xorMappedAddress: from };
    }
  }
}

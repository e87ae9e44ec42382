import { randomBytes } from "node:crypto";
import { NatClassifier } from "../../core/nat/classifier.ts";
import { CLASSIFIER_SOCKETS, type NatEvent, type StunServer } from "../../core/nat/classifier-options.ts";
import type { NatReport } from "../../core/nat/nat-report.ts";
import type { Endpoint } from "../../core/net/endpoint.ts";
import { now } from "../../io/clock.ts";
import { drive } from "../../io/drive.ts";
import { joinSockets, type Sockets } from "../../io/udp/shared-fan.ts";
import { type Bind, openFan } from "../../io/udp/udp-fan.ts";

export interface NatCheckOptions {
  readonly servers: readonly StunServer[];
  /** The port to be tested, which others may use meanwhile, and where it is bound. */
  readonly tested: Sockets;
  readonly local: Endpoint;
  /** This host's own, canonical text. */
  readonly interfaceAddresses: readonly string[];
  /** What the gateway says that its outside address is, if it was asked. */
  readonly gatewayExternal?: string | undefined;
  /** 5 s unless told. */
  readonly deadlineMs?: number;
  /** For progress. */
  readonly onEvent?: (event: Exclude<NatEvent, { type: "report" }>) => void;
  readonly signal?: AbortSignal;
}

/**
 * One classification on real sockets: beside the tested one it opens those that the classifier needs, and closes them.
 * Rejects with `io.bind`, or with the signal's reason.
 */
export async function checkNat(options: NatCheckOptions): Promise<NatReport> {
  const { tested, local, onEvent, signal } = options;
  signal?.throwIfAborted();
  const others: Bind[] = Array.from({ length: CLASSIFIER_SOCKETS - 1 }, () => ({ address: local.address }));
  using fan = await openFan(others);
  const classifier = new NatClassifier({
    ...without(options),
    now: now(),
    random: (length) => new Uint8Array(randomBytes(length)),
    sockets: [local, ...fan.local],
  });
  const { promise, resolve, reject } = Promise.withResolvers<NatReport>();
  const stop = () => reject(signal?.reason);
  signal?.addEventListener("abort", stop, { once: true });
  using _driven = drive(classifier, joinSockets(tested, 1, fan), (event) => {
    if (event.type === "report") resolve(event.report);
    else onEvent?.(event);
  });
  try {
    return await promise;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

/** What nobody told is left out, not undefined. */
function without({ servers, interfaceAddresses, gatewayExternal, deadlineMs }: NatCheckOptions) {
  return {
    servers,
    interfaceAddresses,
    ...(gatewayExternal !== undefined && { gatewayExternal }),
    ...(deadlineMs !== undefined && { deadlineMs }),
  };
}

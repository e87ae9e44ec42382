import type { Machine, Transmit } from "../core/machine.ts";
import { now } from "./clock.ts";
import type { Sockets } from "./udp/shared-fan.ts";

/** The longest that `setTimeout` takes. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** A machine that is being driven. Disposal stops it; its sockets stay open. */
export interface Driven extends Disposable {
  /** After something was done to the machine from outside (`machine.stop()`): lets it send and tell what it wants. */
  poke(): void;
}

/**
 * Runs a machine on real sockets and the real clock: what arrives goes in, what it wants sent goes out, its events go
 * to `onEvent`, until disposed of. It starts at once: the machine's first transmits leave before this returns.
 */
export function drive<Event>(machine: Machine<Event>, sockets: Sockets, onEvent: (event: Event) => void): Driven {
  let timer: Timer | undefined;
  let stopped = false;

  function pump(): void {
    const transmits: Transmit[] = [];
    for (let next = machine.pollTransmit(); next !== undefined; next = machine.pollTransmit()) transmits.push(next);
    if (transmits.length > 0) sockets.send(transmits);
    for (let event = machine.pollEvent(); event !== undefined && !stopped; event = machine.pollEvent()) onEvent(event);
    arm();
  }

  function arm(): void {
    clearTimeout(timer);
    const at = machine.nextTimeout();
    if (stopped || !Number.isFinite(at)) return;
    timer = setTimeout(wake, Math.min(Math.max(0, at - now()), MAX_TIMER_MS));
  }

  function wake(): void {
    machine.handleTimeout(now());
    pump();
  }

  sockets.onDatagram = (datagram) => {
    machine.handleDatagram(now(), datagram);
    pump();
  };
  pump();

  return {
    poke: () => {
      if (!stopped) pump();
    },
    [Symbol.dispose]() {
      stopped = true;
      clearTimeout(timer);
      sockets.onDatagram = () => {};
    },
  };
}

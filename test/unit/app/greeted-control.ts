import { SignalService } from "../../../src/app/peers/signal-service.ts";
import { MAX_CTRL_BYTES } from "../../../src/core/wire/control.ts";
import { type FrameErrorKind, PduDecoder } from "../../../src/core/wire/pdu.ts";
import type { SignalInput } from "../../../src/core/wire/signal.ts";
import type { LaneTransport } from "../../../src/io/lanes/lane-transport.ts";
import { Logbook } from "../../e2e/support/logbook.ts";
import { controlPdu } from "../../e2e/support/raw-lane.ts";

/** A connection whose socket takes `room` bytes more. */
class Pipe implements LaneTransport {
  readonly remote = "192.0.2.1:1";
  readonly peerCn = "home";
  readonly fd = undefined;
  room = Number.POSITIVE_INFINITY;
  ended: "end" | "terminate" | undefined;
  readonly #decoder = new PduDecoder({ maxCtrlBytes: MAX_CTRL_BYTES });
  readonly said: Record<string, unknown>[] = [];

  write(bytes: Uint8Array, start: number, end: number): number {
    const taken = Math.min(this.room, end - start);
    this.room -= taken;
    this.#decoder.feed(bytes.slice(start, start + taken));
    while (this.#decoder.next() === "pdu") this.said.push(JSON.parse(new TextDecoder().decode(this.#decoder.payload)));
    return taken;
  }

  end(): void {
    this.ended ??= "end";
  }

  terminate(): void {
    this.ended ??= "terminate";
  }
}

/** A service with one control connection, which has said hello. */
export function greeted(room = Number.POSITIVE_INFINITY) {
  const logbook = new Logbook();
  const refusals: FrameErrorKind[] = [];
  const service = new SignalService(
    { log: logbook.log("server"), stunPort: 0 },
    { opened: () => {}, closed: () => {}, refused: (_transport, kind) => void refusals.push(kind) },
  );
  const pipe = new Pipe();
  pipe.room = room;
  const link = service.join(pipe, new PduDecoder({ maxCtrlBytes: MAX_CTRL_BYTES }), {
    type: "hello",
    kind: "control",
    session_id: crypto.randomUUID(),
    lane_id: 0,
    node: "",
    caps: [],
  });
  if (typeof link === "string") throw new Error(`refused: ${link}`);
  return { service, pipe, link, logbook, refusals, say: (signal: SignalInput) => link.data(controlPdu(signal)) };
}

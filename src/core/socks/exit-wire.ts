import { type Destination, decodeAddress, encodeAddress, NO_ADDRESS } from "./address.ts";
import { Intake } from "./intake.ts";
import { REPLIES, type Reply, replyOf } from "./reply.ts";

/**
 * What socks and agent say to each other, first of all on each stream (docs/socks.md "Between socks and agent"):
 * `VER(1) | CMD(1) | ATYP | ADDR | PORT` is answered by `VER(1) | REP(1) | ATYP | ADDR | PORT`, with the numbers of
 * SOCKS5. Then the stream is the connection; or, for `udp`, stays silent for as long as the datagrams beside it flow.
 */
const VERSION = 1;
const COMMANDS = { connect: 1, udp: 3 } as const;

export interface ExitRequest {
  readonly command: keyof typeof COMMANDS;
  /** Of `connect`; `NO_ADDRESS` for `udp`. */
  readonly to: Destination;
}

export interface ExitAnswer {
  readonly reply: Reply;
  /** The agent's own end of the connection. */
  readonly bound: Destination;
}

/** `rest`: what came behind the message. */
export type ExitReading<Message> =
  | { readonly type: "more" }
  | { readonly type: "message"; readonly message: Message; readonly rest: Uint8Array }
  | { readonly type: "malformed"; readonly kind: "version" | "command" | "address_type" | "name" };

export function encodeExitRequest({ command, to }: ExitRequest): Uint8Array {
  return Uint8Array.from([VERSION, COMMANDS[command], ...encodeAddress(to)]);
}

export function encodeExitAnswer(reply: Reply, bound: Destination = NO_ADDRESS): Uint8Array {
  return Uint8Array.from([VERSION, REPLIES[reply], ...encodeAddress(bound)]);
}

/** Reads the request on a stream, as its bytes come. What waits is at most one message, 261 bytes. */
export class ExitRequestReader {
  readonly #intake = new Intake();

  push(chunk: Uint8Array): ExitReading<ExitRequest> {
    return read(this.#intake, chunk, (code, to) => {
      const command = commandOf(code);
      return command && { command, to };
    });
  }
}

/** Reads the answer. A reply that this version does not know is a failure like any other. */
export class ExitAnswerReader {
  readonly #intake = new Intake();

  push(chunk: Uint8Array): ExitReading<ExitAnswer> {
    return read(this.#intake, chunk, (code, bound) => ({ reply: replyOf(code), bound }));
  }
}

function read<Message>(
  intake: Intake,
  chunk: Uint8Array,
  make: (code: number, address: Destination) => Message | undefined,
): ExitReading<Message> {
  intake.add(chunk);
  const [version, code] = intake.bytes;
  if (version !== undefined && version !== VERSION) return { type: "malformed", kind: "version" };
  if (code === undefined) return { type: "more" };
  const address = decodeAddress(intake.bytes, 2);
  if (!address.ok) return address.kind === "incomplete" ? { type: "more" } : { type: "malformed", kind: address.kind };
  const message = make(code, address.destination);
  if (message === undefined) return { type: "malformed", kind: "command" };
  return { type: "message", message, rest: intake.bytes.subarray(address.end) };
}

function commandOf(code: number): ExitRequest["command"] | undefined {
  if (code === COMMANDS.connect) return "connect";
  return code === COMMANDS.udp ? "udp" : undefined;
}

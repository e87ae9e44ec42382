import { afterEach, describe, expect, test } from "bun:test";
import {
  MAX_DATAGRAM_BYTES,
  openUdp,
  type UdpDropReason,
  type UdpSocket,
  WAITING_PACKETS,
} from "../../../../src/io/udp/udp.ts";
import { numbered, numberOf } from "../../../bytes.ts";
import { turn, until } from "../../../e2e/support/until.ts";

/** A UDP end that notes everything it is told. */
interface End {
  readonly socket: UdpSocket;
  readonly received: Uint8Array[];
  readonly from: { port: number; address: string }[];
  readonly dropped: Record<string, number>;
  readonly sent: { packets: number; bytes: number };
  readonly errors: string[];
}

const open: UdpSocket[] = [];

afterEach(() => {
  for (const socket of open.splice(0)) socket[Symbol.dispose]();
});

async function openEnd(connectTo?: number, port = 0, host = "127.0.0.1"): Promise<End> {
  const received: Uint8Array[] = [];
  const from: { port: number; address: string }[] = [];
  const dropped: Partial<Record<UdpDropReason, number>> = {};
  const sent = { packets: 0, bytes: 0 };
  const errors: string[] = [];
  const socket = await openUdp({
    host,
    port,
    ...(connectTo === undefined ? {} : { connect: { host, port: connectTo } }),
    onDatagram(datagram, fromPort, address) {
      received.push(datagram);
      from.push({ port: fromPort, address });
    },
    onDrop(reason, count) {
      dropped[reason] = (dropped[reason] ?? 0) + count;
    },
    onSent(packets, bytes) {
      sent.packets += packets;
      sent.bytes += bytes;
    },
    onError: (error) => errors.push((error as { code?: string }).code ?? error.message),
  });
  open.push(socket);
  return { socket, received, from, dropped, sent, errors };
}

/** A port where nobody listens: the system answers with ICMP port unreachable. */
async function closedPort(): Promise<number> {
  const { socket } = await openEnd();
  socket[Symbol.dispose]();
  return socket.port;
}

const none: readonly Uint8Array[] = [];

describe("sending", () => {
  test("datagrams of 0 to 65,507 bytes arrive as they are, in batches of any mix", async () => {
    const receiver = await openEnd();
    const sender = await openEnd(receiver.socket.port);
    const sizes = [0, 1, 1_452, MAX_DATAGRAM_BYTES, 9_000, 0, 1_200];
    const batch = sizes.map((size) => new Uint8Array(size).fill(size & 0xff));
    sender.socket.send(batch);
    await until("all of the batch", () => receiver.received.length === sizes.length);
    expect(receiver.received).toEqual(batch);
    expect(sender.sent).toEqual({ packets: sizes.length, bytes: sizes.reduce((sum, size) => sum + size) });
    expect(sender.dropped).toEqual({});
  });

  test("what no datagram can hold is dropped and counted, the rest of its batch is not", async () => {
    const receiver = await openEnd();
    const sender = await openEnd();
    const batch = [numbered(1), new Uint8Array(MAX_DATAGRAM_BYTES + 1), numbered(2)];
    sender.socket.sendTo(batch, receiver.socket.port, "127.0.0.1");
    await until("both others", () => receiver.received.length === 2);
    expect(receiver.received.map(numberOf)).toEqual([1, 2]);
    expect(receiver.from[0]).toEqual({ port: sender.socket.port, address: "127.0.0.1" });
    expect(sender.dropped).toEqual({ too_large: 1 });
    expect(sender.sent).toEqual({ packets: 2, bytes: 16 });
  });

  test("IPv6", async () => {
    const receiver = await openEnd(undefined, 0, "::1");
    const sender = await openEnd(receiver.socket.port, 0, "::1");
    sender.socket.send([numbered(7)]);
    await until("it", () => receiver.received.length === 1);
    expect(receiver.from).toEqual([{ port: sender.socket.port, address: "::1" }]);
  });

  test("a batch may be overwritten as soon as send returns, also the part that waits", async () => {
    const receiver = await openEnd();
    const sender = await openEnd(receiver.socket.port);
    const shared = new Uint8Array(400 * 8);
    const batch = Array.from({ length: 400 }, (_, i) => {
      const view = shared.subarray(i * 8, i * 8 + 8);
      view.set(numbered(i));
      return view;
    });
    sender.socket.send(batch);
    expect(sender.socket.waiting).toBeGreaterThan(0);
    shared.fill(0xff);
    await sender.socket.drained(new AbortController().signal);
    await until("all 400", () => receiver.received.length === 400);
    expect(receiver.received.map(numberOf)).toEqual(batch.map((_, i) => i));
  });
});

describe("what cannot leave at once", () => {
  test("waits, bounded, the oldest goes first; all of it is sent or counted", async () => {
    const receiver = await openEnd();
    const sender = await openEnd(receiver.socket.port);
    // The head of the first batch leaves; of what waits, the room holds WAITING_PACKETS.
    const total = WAITING_PACKETS + 2_000;
    sender.socket.send(Array.from({ length: total }, (_, i) => numbered(i)));
    expect(sender.socket.waiting).toBe(WAITING_PACKETS);
    await sender.socket.drained(new AbortController().signal);
    expect(sender.socket.waiting).toBe(0);
    const dropped = sender.dropped.udp_blocked ?? 0;
    expect(sender.dropped).toEqual({ udp_blocked: dropped });
    expect(sender.sent.packets + dropped).toBe(total);
    await until("what was sent", () => receiver.received.length === sender.sent.packets);
    const numbers = receiver.received.map(numberOf);
    // The oldest of those that waited are missing, behind the ones that had left at once.
    const gone = numbers.findIndex((number, i) => number !== i);
    expect(numbers).toEqual([
      ...Array.from({ length: gone }, (_, i) => i),
      ...Array.from({ length: total - gone - dropped }, (_, i) => i + gone + dropped),
    ]);
  });

  test("is counted as closed when the socket goes", async () => {
    const receiver = await openEnd();
    const sender = await openEnd(receiver.socket.port);
    sender.socket.send(Array.from({ length: 1_000 }, (_, i) => numbered(i)));
    const waited = sender.socket.waiting;
    const drained = sender.socket.drained(new AbortController().signal);
    sender.socket[Symbol.dispose]();
    await drained;
    sender.socket.send([numbered(1), numbered(2)]);
    expect(sender.dropped).toEqual({ closed: waited + 2 });
    expect(sender.sent.packets).toBe(1_000 - waited);
  });

  test("drained ends with its signal, and at once when nothing waits", async () => {
    const sender = await openEnd((await openEnd()).socket.port);
    await sender.socket.drained(new AbortController().signal);
    sender.socket.send(Array.from({ length: 1_000 }, (_, i) => numbered(i)));
    await sender.socket.drained(AbortSignal.abort());
    expect(sender.socket.waiting).toBeGreaterThan(0);
  });
});

describe("a closed port (FINDINGS: Bun sets IP_RECVERR)", () => {
  test("on one socket costs nobody else a datagram", async () => {
    const healthy = await openEnd();
    const dead = await closedPort();
    const sender = await openEnd();
    for (let i = 0; i < 200; i++) {
      sender.socket.sendTo([numbered(i)], dead, "127.0.0.1");
      await turn();
      sender.socket.sendTo([numbered(i)], healthy.socket.port, "127.0.0.1");
    }
    await until("all 200 healthy ones", () => healthy.received.length === 200);
    expect(healthy.received.map(numberOf)).toEqual(Array.from({ length: 200 }, (_, i) => i));
    expect(sender.sent.packets).toBe(400);
    expect(sender.dropped).toEqual({});
  });

  test("in batches, both mixed", async () => {
    const healthy = await openEnd();
    const dead = await closedPort();
    const sender = await openEnd();
    for (let batch = 0; batch < 20; batch++) {
      const datagrams = Array.from({ length: 20 }, (_, i) => numbered(batch * 20 + i));
      sender.socket.sendTo(datagrams, dead, "127.0.0.1");
      sender.socket.sendTo(datagrams, healthy.socket.port, "127.0.0.1");
      await turn();
    }
    await until("all 400 healthy ones", () => healthy.received.length === 400);
    expect(healthy.received.map(numberOf)).toEqual(Array.from({ length: 400 }, (_, i) => i));
    expect(sender.dropped).toEqual({});
  });

  for (const batchSize of [1, 50]) {
    test(`that opens later gets everything from then on (connected socket, batches of ${batchSize})`, async () => {
      const port = await closedPort();
      const sender = await openEnd(port);
      for (let i = 0; i < 20; i++) {
        sender.socket.send(Array.from({ length: batchSize }, () => numbered(0)));
        await turn();
      }
      await until("word of it", () => sender.errors.length > 0);
      expect([...new Set(sender.errors)]).toEqual(["ECONNREFUSED"]);
      await sender.socket.drained(new AbortController().signal);
      const late = await openEnd(undefined, port);
      for (let i = 0; i < 20; i++)
        sender.socket.send(Array.from({ length: batchSize }, (_, at) => numbered(i * batchSize + at)));
      await until("all of them", () => late.received.length === 20 * batchSize);
      expect(late.received.map(numberOf)).toEqual(Array.from({ length: 20 * batchSize }, (_, i) => i));
      expect(sender.sent.packets).toBe(40 * batchSize);
      expect(sender.dropped).toEqual({});
    });
  }
});

describe("opening", () => {
  test("a port that is taken is an error that names it", async () => {
    const { socket } = await openEnd();
    const again = openEnd(undefined, socket.port);
    await expect(again).rejects.toThrow(`Cannot bind UDP 127.0.0.1:${socket.port}: address in use`);
    await expect(again).rejects.toMatchObject({ kind: "io.bind", details: { host: "127.0.0.1", port: socket.port } });
  });

  test("sending nothing does nothing", async () => {
    const end = await openEnd();
    end.socket.send(none);
    end.socket.sendTo(none, 9, "127.0.0.1");
    expect(end.sent).toEqual({ packets: 0, bytes: 0 });
  });
});

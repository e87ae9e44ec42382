import { expect, test } from "bun:test";
import type { Datagram, Transmit } from "../../../../src/core/machine.ts";
import { joinSockets, SharedFan, type Sockets } from "../../../../src/io/udp/shared-fan.ts";
import type { UdpFan } from "../../../../src/io/udp/udp-fan.ts";

const ANYBODY = { address: "192.0.2.1", port: 9 };

/** A fan without sockets: what was sent, and a way to make something arrive. */
function fakeFan(): UdpFan & { sent: Transmit[]; arrive(text: string, socket?: number): void } {
  const sent: Transmit[] = [];
  return {
    local: [],
    errors: { icmp: 0, refused: 0 },
    onDatagram: () => {},
    sent,
    arrive(text, socket = 0) {
      this.onDatagram({ socket, from: ANYBODY, payload: new TextEncoder().encode(text) });
    },
    send: (transmits) => void sent.push(...transmits),
    keep() {},
    [Symbol.dispose]() {},
  };
}

function text({ payload }: Datagram): string {
  return new TextDecoder().decode(payload);
}

function listen(sockets: Sockets): string[] {
  const heard: string[] = [];
  sockets.onDatagram = (datagram) => void heard.push(`${datagram.socket}:${text(datagram)}`);
  return heard;
}

function transmit(socket: number): Transmit {
  return { socket, to: ANYBODY, payload: Uint8Array.of(socket) };
}

test("a datagram goes to everybody who takes it; what nobody takes is counted", () => {
  const fan = fakeFan();
  const shared = new SharedFan(fan);
  const stun = listen(shared.share((datagram) => text(datagram).startsWith("stun")));
  const ice = listen(shared.share((datagram) => text(datagram) === "stun check"));
  for (const arriving of ["stun answer", "stun check", "noise"]) fan.arrive(arriving);
  expect({ stun, ice, unclaimed: shared.unclaimed }).toEqual({
    stun: ["0:stun answer", "0:stun check"],
    ice: ["0:stun check"],
    unclaimed: 1,
  });
});

test("everybody sends on the fan's sockets until the share is given up", () => {
  const fan = fakeFan();
  const shared = new SharedFan(fan);
  const one = shared.share(() => true);
  const other = shared.share(() => true);
  const [heardOne, heardOther] = [listen(one), listen(other)];
  one.send([transmit(0)]);
  one[Symbol.dispose]();
  one.send([transmit(0)]);
  other.send([transmit(1)]);
  fan.arrive("late");
  expect(fan.sent.map(({ socket }) => socket)).toEqual([0, 1]);
  expect([heardOne, heardOther]).toEqual([[], ["0:late"]]);
});

test("a share may be given up, or begun, by what arrives", () => {
  const fan = fakeFan();
  const shared = new SharedFan(fan);
  const first = shared.share(() => true);
  const second = shared.share(() => true);
  const heard: string[] = [];
  first.onDatagram = (datagram) => {
    heard.push(`first ${text(datagram)}`);
    second[Symbol.dispose]();
    shared.share(() => true).onDatagram = (next) => void heard.push(`third ${text(next)}`);
    first[Symbol.dispose]();
  };
  second.onDatagram = (datagram) => void heard.push(`second ${text(datagram)}`);
  fan.arrive("a");
  fan.arrive("b");
  expect(heard).toEqual(["first a", "third b"]);
});

test("joined groups number their sockets through, both ways", () => {
  const [first, second] = [fakeFan(), fakeFan()];
  const joined = joinSockets(first, 1, second);
  const heard = listen(joined);
  first.arrive("shared");
  second.arrive("own", 0);
  second.arrive("own", 4);
  joined.send([transmit(0), transmit(1), transmit(5), transmit(0)]);
  expect(heard).toEqual(["0:shared", "1:own", "5:own"]);
  expect([first.sent, second.sent].map((sent) => sent.map(({ socket, payload }) => [socket, payload[0]]))).toEqual([
    [
      [0, 0],
      [0, 0],
    ],
    [
      [0, 1],
      [4, 5],
    ],
  ]);
});

import { expect, test } from "bun:test";
import type { Datagram } from "../../src/core/machine.ts";
import { openFan } from "../../src/io/udp/udp-fan.ts";
import { describeLab } from "./describe-lab.ts";
import { openInside } from "./inside.ts";
import { Lab } from "./lab.ts";

/** Of the second cable; UDP over IPv4 adds 28 bytes. */
const NARROW_MTU = 1_400;

/**
 *   a 10.9.1.1 ── 1,500 ── router ── 1,400 ── b 10.9.2.2
 */
describeLab("a path with a narrow place", () => {
  test("lets large datagrams through in pieces, unless they must not be cut", async () => {
    await using lab = await Lab.open();
    const [a, router, b] = await Promise.all([
      lab.namespace("a"),
      lab.namespace("router", { "net.ipv4.ip_forward": 1 }),
      lab.namespace("b"),
    ]);
    const cable = (address: string, host: typeof a, device: string) => ({ host, device, address });
    await lab.cable(cable("10.9.1.1/24", a, "eth0"), cable("10.9.1.2/24", router, "one"));
    await lab.cable(cable("10.9.2.1/24", router, "two"), cable("10.9.2.2/24", b, "eth0"));
    await router.ip([`link set two mtu ${NARROW_MTU}`]);
    await b.ip([`link set eth0 mtu ${NARROW_MTU}`, "route add default via 10.9.2.1"]);
    await a.ip(["route add default via 10.9.1.2"]);

    using sender = await openInside(a, () => openFan([{ dontFragment: true }, {}]));
    using receiver = await openInside(b, () => openFan([{ port: 4_000 }]));
    const arrived: number[] = [];
    const last = Promise.withResolvers<void>();
    receiver.onDatagram = ({ payload }: Datagram) => {
      arrived.push(payload.length);
      if (payload.length === 1) last.resolve();
    };
    const to = { address: "10.9.2.2", port: 4_000 };
    const send = (socket: number, bytes: number) => sender.send([{ socket, to, payload: new Uint8Array(bytes) }]);
    // Uncut first: the router's word that they were too large makes this host cut what may be cut.
    for (const bytes of [1_472, 1_372, 1_373]) send(0, bytes);
    send(1, 1);
    await last.promise;
    expect(arrived).toEqual([1_372, 1]);
    arrived.length = 0;
    send(1, 1_472);
    send(0, 1_472);
    send(1, 2);
    while (arrived.length < 2) await new Promise((resolve) => setImmediate(resolve));
    expect(arrived).toEqual([1_472, 2]);
  });
});

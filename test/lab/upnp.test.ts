import { expect, test } from "bun:test";
import type { Datagram } from "../../src/core/machine.ts";
import { openFan } from "../../src/io/udp/udp-fan.ts";
import { utf8 } from "../bytes.ts";
import { describeLab } from "./describe-lab.ts";
import { HOME, type HomeRouter, homeRouter } from "./home-router.ts";
import { openInside } from "./inside.ts";
import { Lab } from "./lab.ts";
import { Miniupnpd } from "./miniupnpd.ts";
import { INTERNAL_PORT, UpnpAgent } from "./upnp-host.ts";

const kernel = (externalPort: number, internalAddress: string = HOME.inside) => ({
  protocol: "udp" as const,
  externalPort,
  internalAddress,
  internalPort: INTERNAL_PORT,
});
const mapped = (port: number, address: string = HOME.wan) => ({
  type: "mapped",
  external: { address, port },
  leaseSeconds: 120,
});

/** Sends a datagram from outside to a mapped port: what arrives at UDP port 6000 inside, and from where. */
async function knock(home: HomeRouter, port: number): Promise<Datagram> {
  using inside = await openInside(home.inside, () => openFan([{ port: INTERNAL_PORT }]));
  using outside = await openInside(home.outside, () => openFan([{}]));
  const arrived = Promise.withResolvers<Datagram>();
  inside.onDatagram = arrived.resolve;
  outside.send([{ socket: 0, to: { address: HOME.wan, port }, payload: utf8("knock") }]);
  return await arrived.promise;
}

describeLab("UPnP with miniupnpd", () => {
  test.each([
    ["IGD v2", false],
    ["IGD v1", true],
  ])(
    "%s: adds, is reached from outside, lists, renews, removes",
    async (_, igd1) => {
      await using lab = await Lab.open();
      const home = await homeRouter(lab);
      await using daemon = await Miniupnpd.start(lab, home.router, { igd1 });
      const agent = await UpnpAgent.open(home.inside, { externalPort: 7_000 });
      expect(agent.gateway).toEqual({ address: HOME.gateway, interfaceName: "eth0", localAddress: HOME.inside });
      expect(await agent.does("map")).toEqual(mapped(7_000));
      expect(await daemon.mappings()).toEqual([kernel(7_000)]);
      expect(await knock(home, 7_000)).toMatchObject({ from: { address: HOME.outside }, payload: utf8("knock") });
      const listed = (await agent.does("list")) as { mappings: { leaseSeconds: number }[] };
      const [{ leaseSeconds }] = listed.mappings as [{ leaseSeconds: number }];
      expect([leaseSeconds > 60, leaseSeconds <= 120]).toEqual([true, true]);
      expect(listed).toEqual({
        type: "listed",
        externalAddress: HOME.wan,
        mappings: [
          {
            transport: "udp",
            externalPort: 7_000,
            internalAddress: HOME.inside,
            internalPort: INTERNAL_PORT,
            enabled: true,
            description: "ut lab",
            leaseSeconds,
          },
        ],
        isComplete: true,
      } as never);
      expect(await agent.does("map")).toEqual(mapped(7_000));
      expect(await daemon.mappings()).toEqual([kernel(7_000)]);
      expect(await agent.does("unmap")).toEqual({ type: "unmapped" });
      expect(await daemon.mappings()).toEqual([]);
    },
    20_000,
  );

  test.each([
    ["the gateway chooses another", false],
    ["we do", true],
  ])(
    "a port that another host has is left to it: %s",
    async (_, igd1) => {
      await using lab = await Lab.open();
      const home = await homeRouter(lab);
      await using daemon = await Miniupnpd.start(lab, home.router, { igd1 });
      const second = await UpnpAgent.open(home.second, { externalPort: 7_000 });
      expect(await second.does("map")).toEqual(mapped(7_000));
      const agent = await UpnpAgent.open(home.inside, { externalPort: 7_000 });
      const outcome = (await agent.does("map")) as ReturnType<typeof mapped>;
      const { port } = outcome.external;
      expect(outcome).toEqual(mapped(port));
      expect(igd1 ? port >= 49_152 : port === 7_001).toBe(true);
      expect(await daemon.mappings()).toEqual([kernel(7_000, HOME.second), kernel(port)]);
      expect(await agent.does("unmap")).toEqual({ type: "unmapped" });
      expect(await daemon.mappings()).toEqual([kernel(7_000, HOME.second)]);
    },
    20_000,
  );

  test("a program that starts anew and knows of nothing gets its mapping back", async () => {
    await using lab = await Lab.open();
    const home = await homeRouter(lab);
    await using daemon = await Miniupnpd.start(lab, home.router);
    expect(await (await UpnpAgent.open(home.inside, { externalPort: 7_000 })).does("map")).toEqual(mapped(7_000));
    expect(await (await UpnpAgent.open(home.inside, { externalPort: 7_000 })).does("map")).toEqual(mapped(7_000));
    expect(await daemon.mappings()).toEqual([kernel(7_000)]);
  }, 20_000);

  test("a gateway that restarted or got another address gives it anew, and one that is gone is told", async () => {
    await using lab = await Lab.open();
    const home = await homeRouter(lab);
    await using daemon = await Miniupnpd.start(lab, home.router);
    const agent = await UpnpAgent.open(home.inside, { externalPort: 7_000 });
    expect(await agent.does("map")).toEqual(mapped(7_000));
    await daemon.reboot();
    expect(await daemon.mappings()).toEqual([]);
    expect(await agent.does("map")).toEqual(mapped(7_000));
    expect(await daemon.mappings()).toEqual([kernel(7_000)]);
    await home.renumber("11.51.100.3");
    expect(await agent.does("map")).toEqual(mapped(7_000, "11.51.100.3"));
    await home.renumber(undefined);
    expect(await agent.does("map")).toEqual({
      type: "failed",
      kind: "no-external-address",
      message: "has no external address now",
    });
    await daemon.cut();
    expect(await agent.does("map")).toEqual({
      type: "failed",
      kind: "no-answer",
      message: `no UPnP gateway answered from ${HOME.gateway}`,
    });
    // Nobody is there to be told, and a program that ends does not wait for long.
    expect(await agent.does("unmap")).toMatchObject({ type: "failed", kind: "no-answer" });
  }, 20_000);
});

describeLab("the default gateway", () => {
  test("is that of the lowest metric, its changes and its loss are told, and at first there may be none", async () => {
    await using lab = await Lab.open();
    const { inside } = await homeRouter(lab);
    const via = (last: number) => ({
      address: `10.1.0.${last}`,
      interfaceName: "eth0",
      localAddress: HOME.inside,
    });
    await inside.ip(["route del default", "route add default via 10.1.0.3 metric 300"]);
    await inside.ip(["route add default via 10.1.0.2 metric 200"]);
    const agent = await UpnpAgent.open(inside, { externalPort: 7_000 });
    expect(agent.gateway).toEqual(via(2));
    await inside.ip(["route del default via 10.1.0.2 metric 200"]);
    expect(await agent.changedGateway()).toEqual(via(3));
    await inside.ip(["route del default"]);
    expect(await agent.changedGateway()).toBeNull();
    expect((await UpnpAgent.open(inside, { externalPort: 7_000 })).gateway).toBeNull();
  }, 20_000);
});

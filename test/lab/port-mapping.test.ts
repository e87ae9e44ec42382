import { expect, test } from "bun:test";
import { join } from "node:path";
import type { Datagram } from "../../src/core/machine.ts";
import type { PortMapProtocol } from "../../src/core/portmap/protocol.ts";
import { openFan } from "../../src/io/udp/udp-fan.ts";
import { utf8 } from "../bytes.ts";
import { describeLab } from "./describe-lab.ts";
import { HOME, type HomeRouter, homeRouter } from "./home-router.ts";
import { openInside } from "./inside.ts";
import type { Job } from "./job.ts";
import { Lab } from "./lab.ts";
import { Miniupnpd } from "./miniupnpd.ts";
import { utBinary } from "./ut-binary.ts";

const PORT = 6_000;
const EXTERNAL = 7_000;
/** The shortest that the daemon grants. */
const LEASE_SECONDS = 10;
const KERNEL = { protocol: "udp", externalPort: EXTERNAL, internalAddress: HOME.inside, internalPort: PORT } as const;
const MAPPED = { external: `${HOME.wan}:${EXTERNAL}`, lease_seconds: LEASE_SECONDS };

/** A home with miniupnpd on its router, and `ut nat map` on a host in it. */
class Home implements AsyncDisposable {
  readonly router: HomeRouter;
  readonly daemon: Miniupnpd;
  readonly #lab: Lab;
  readonly #binary: string;

  private constructor(lab: Lab, router: HomeRouter, daemon: Miniupnpd, binary: string) {
    this.#lab = lab;
    this.router = router;
    this.daemon = daemon;
    this.#binary = binary;
  }

  static async open(options: Parameters<typeof Miniupnpd.start>[2] = {}): Promise<Home> {
    const lab = await Lab.open();
    const router = await homeRouter(lab);
    return new Home(lab, router, await Miniupnpd.start(lab, router.router, options), await utBinary());
  }

  /** `ut nat map add` that keeps running. */
  add(...flags: string[]): Job {
    const wish = [String(PORT), "--external", String(EXTERNAL), "--lease", String(LEASE_SECONDS), "--json"];
    return this.router.inside.start(
      "ut nat map add",
      [this.#binary, "nat", "map", "add", ...wish, ...flags],
      this.#env(),
    );
  }

  /** `ut nat map …` to its end: its exit code, stdout and stderr. */
  async map(argv: readonly string[], user = "one"): Promise<{ code: number; out: string; err: string }> {
    const child = Bun.spawn(["ip", "netns", "exec", this.router.inside.name, this.#binary, "nat", "map", ...argv], {
      env: { ...process.env, ...this.#env(user).env },
      stdout: "pipe",
      stderr: "pipe",
    });
    const [out, err, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { code, out, err };
  }

  /** Sends a datagram from outside to the mapped port: what arrives at the port inside. */
  async knock(): Promise<string> {
    using inside = await openInside(this.router.inside, () => openFan([{ port: PORT }]));
    using outside = await openInside(this.router.outside, () => openFan([{}]));
    const arrived = Promise.withResolvers<Datagram>();
    inside.onDatagram = arrived.resolve;
    outside.send([{ socket: 0, to: { address: HOME.wan, port: EXTERNAL }, payload: utf8("knock") }]);
    const { from, payload } = await arrived.promise;
    return `${Buffer.from(payload)} from ${from.address}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.daemon[Symbol.asyncDispose]();
    await this.#lab[Symbol.asyncDispose]();
  }

  /** Each user has its own secret. */
  #env(user = "one"): { env: Record<string, string> } {
    return { env: { XDG_STATE_HOME: join(this.#lab.folder, user) } };
  }
}

/** The next thing that it tells of this type. */
async function told(job: Job, type: string): Promise<unknown> {
  return JSON.parse(await job.line(new RegExp(`"type":"${type}"`), 20_000));
}

describeLab("ut nat map with miniupnpd", () => {
  async function life(protocol: PortMapProtocol, signal: NodeJS.Signals): Promise<void> {
    await using home = await Home.open();
    const ut = home.add("--protocol", protocol);
    expect(await told(ut, "installed")).toEqual({ type: "installed", protocol, ...MAPPED });
    expect(await home.daemon.mappings()).toEqual([KERNEL]);
    expect(await home.knock()).toBe(`knock from ${HOME.outside}`);
    expect(await told(ut, "renewed")).toEqual({ type: "renewed", protocol, ...MAPPED });

    await home.daemon.reboot();
    if (protocol !== "upnp")
      expect(await told(ut, "revoked")).toEqual({
        type: "revoked",
        external: MAPPED.external,
        reason: "gateway-restarted",
      });
    // UPnP has no epoch: the next renewal finds the mapping gone, and makes it anew.
    await told(ut, protocol === "upnp" ? "renewed" : "installed");
    expect(await home.daemon.mappings()).toEqual([KERNEL]);
    expect(await home.knock()).toBe(`knock from ${HOME.outside}`);

    const last = told(ut, "stopped");
    await ut.stop(signal);
    expect(await last).toEqual({ type: "stopped", left: [] });
    expect(await home.daemon.mappings()).toEqual([]);
  }

  test.concurrent("installed, reached from outside, renewed, there again after a restart of the gateway, gone with its program", async () => {
    await utBinary();
    await Promise.all([life("pcp", "SIGINT"), life("nat-pmp", "SIGTERM"), life("upnp", "SIGINT")]);
  }, 60_000);

  test.concurrent("kill -9 leaves a mapping until its lease ends", async () => {
    await using home = await Home.open();
    const killed = home.add();
    expect(await told(killed, "installed")).toEqual({ type: "installed", protocol: "pcp", ...MAPPED });
    await killed.stop("SIGKILL");
    expect(await home.daemon.mappings()).toEqual([KERNEL]);
    while ((await home.daemon.mappings()).length > 0) await Bun.sleep(200);
  }, 60_000);

  test.concurrent("another network: the old mapping is told to be gone, and the port is mapped where a gateway is", async () => {
    await using home = await Home.open();
    const ut = home.add("--protocol", "nat-pmp");
    await told(ut, "installed");
    await home.router.inside.ip(["route del default"]);
    expect(await told(ut, "revoked")).toEqual({
      type: "revoked",
      external: MAPPED.external,
      reason: "gateway-changed",
    });
    await home.router.inside.ip([`route add default via ${HOME.gateway}`]);
    expect(await told(ut, "installed")).toEqual({ type: "installed", protocol: "nat-pmp", ...MAPPED });
    await ut.stop("SIGINT");
    expect(await home.daemon.mappings()).toEqual([]);
  }, 60_000);

  test.concurrent("--once leaves it, too; it is listed, renewed by another run, and removed by a third", async () => {
    await using home = await Home.open();
    const add = ["add", String(PORT), "--external", String(EXTERNAL), "--once"];
    expect(await home.map([...add, "--lease", "600"])).toEqual({
      code: 0,
      out: `asking ${HOME.gateway} by PCP
mapped ${HOME.wan}:${EXTERNAL} to UDP port ${PORT} of ${HOME.inside} by PCP, for 10 min\n`,
      err: "",
    });
    const list = await home.map([]);
    expect({ ...list, out: list.out.split("\n").slice(0, 2) }).toEqual({
      code: 0,
      out: [`asking ${HOME.gateway} by UPnP`, `gateway ${HOME.gateway}, external address ${HOME.wan}, 1 mapping`],
      err: "",
    });
    expect(list.out).toMatch(/\n7000\/udp {2}10\.1\.0\.11:6000 {2}10 min {2}PCP MAP/);
    expect((await home.map([...add, "--lease", "1200", "--json"])).out).toContain('"lease_seconds":1200');
    expect(await home.daemon.mappings()).toEqual([KERNEL]);
    expect(await home.map(["remove", String(PORT)])).toEqual({
      code: 0,
      out: `asking ${HOME.gateway} to remove the mappings of UDP port ${PORT} of ${HOME.inside}
  PCP: the gateway holds none any more
  NAT-PMP: the gateway holds none any more
  UPnP: none left\n`,
      err: "",
    });
    expect(await home.daemon.mappings()).toEqual([]);
  }, 60_000);

  test.concurrent("a gateway that maps nothing: what was tried, and what to do", async () => {
    await using home = await Home.open();
    await home.daemon.cut();
    const results = await Promise.all([
      home.map(["add", String(PORT)]),
      home.map([]),
      home.map(["remove", `${PORT}/tcp`]),
    ]);
    expect(results.map(({ code }) => code)).toEqual([1, 1, 1]);
    expect(results.map(({ err }) => err)).toEqual([
      `ut: Cannot map UDP port ${PORT} of ${HOME.inside} at the gateway ${HOME.gateway}:
  PCP: no answer within 6 s
  NAT-PMP: no answer within 6 s
  UPnP: no UPnP gateway answered from ${HOME.gateway}
Next: switch on UPnP or NAT-PMP (PCP) in the settings of ${HOME.gateway}, or forward the port there by hand\n`,
      `ut: Cannot list the port mappings of ${HOME.gateway}:
  UPnP: no UPnP gateway answered from ${HOME.gateway}
  PCP, NAT-PMP: have no way to list
Next: look at the gateway's own page; "ut nat map add PORT" shows whether it maps ports at all\n`,
      `ut: Cannot remove all mappings of TCP port ${PORT} of ${HOME.inside} from ${HOME.gateway}:
  PCP: no answer from ${HOME.gateway} port 5351
  NAT-PMP: no answer from ${HOME.gateway} port 5351
  UPnP: no UPnP gateway answered from ${HOME.gateway}
Next: look at the gateway's own page, or wait for the end of the lease\n`,
    ]);
  }, 60_000);
});

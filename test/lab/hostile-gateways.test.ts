import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { describeLab } from "./describe-lab.ts";
import { HOME, homeRouter } from "./home-router.ts";
import { dripping, endless, HostileGateway, HTTP_PORT, http, located, type Reply } from "./hostile-gateway.ts";
import { Lab } from "./lab.ts";
import type { Namespace } from "./namespace.ts";
import { UpnpAgent } from "./upnp-host.ts";

/*
 *   gateway 10.1.0.1, hostile ──┬── inside 10.1.0.11: wants a port mapped
 *                               └── second 10.1.0.12: a host that the gateway would like it to attack
 *
 * Whatever the gateway does: a failure with a name, nothing asked of it that would change it, bounded memory, and not
 * one packet to anybody else, which inside's own kernel counts.
 */
const AT = `http://${HOME.gateway}:${HTTP_PORT}`;
const VICTIM = `http://${HOME.second}:${HTTP_PORT}`;
const DESCRIBED = "The description at port 5000";
/** Beside what the process takes by itself, while a gateway pours megabytes at it. */
const MAX_GROWTH_MB = 48;

const LAUGHS = `<!DOCTYPE lolz [<!ENTITY a "ha">${[..."bcdefghij"]
  .map((name, i) => `<!ENTITY ${name} "${`&${"abcdefghij"[i]};`.repeat(10)}">`)
  .join("")}]>`;

const service = (type: string, control: string) =>
  `<service><serviceType>urn:schemas-upnp-org:service:${type}</serviceType><controlURL>${control}</controlURL></service>`;
const described = (inside: string) => http(`<root>${inside}</root>`);
const soap = (action: string, inside: string) =>
  http(`<s:Envelope><s:Body><u:${action}Response>${inside}</u:${action}Response></s:Body></s:Envelope>`);
const address = (told: string) => soap("GetExternalIPAddress", `<NewExternalIPAddress>${told}</NewExternalIPAddress>`);

interface Case {
  readonly search?: ReturnType<typeof located>;
  readonly replies?: Readonly<Record<string, Reply>>;
  readonly failure: readonly [kind: string, message: string];
  /** Asked by HTTP; the description, once, unless told. */
  readonly asked?: readonly string[];
}

/** A gateway whose description is that. */
const describes = (reply: Reply, kind: string, message: string): Case => ({
  replies: { "/igd.xml": reply },
  failure: [kind, `${DESCRIBED}${message}`],
});

/** A gateway whose description is good, and whose answer to the first call is that. */
const answers = (reply: Reply, kind: string, message: string): Case => ({
  replies: { "/igd.xml": described(service("WANIPConnection:1", "/ctl")), GetExternalIPAddress: reply },
  failure: [kind, message],
  asked: ["/igd.xml", "GetExternalIPAddress"],
});

const CASES: Readonly<Record<string, Case>> = {
  "a huge description": describes(
    endless("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n<root>", `<a>${"a".repeat(8_000)}</a>`),
    "bad-answer",
    ": an answer of more than 64 KiB",
  ),
  "an endless one in chunks": describes(
    endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", `400\r\n${"<a>".repeat(341)}.\r\n`),
    "bad-answer",
    ": an answer of more than 64 KiB",
  ),
  "headers without end": describes(
    endless("HTTP/1.1 200 OK\r\n", `X-A: ${"a".repeat(500)}\r\n`),
    "bad-answer",
    ": Parse Error: Header overflow",
  ),
  "a billion laughs": describes(http(`${LAUGHS}<root>&j;</root>`), "bad-answer", " cannot be read as XML (doctype)"),
  "a file of this host": describes(
    http(`<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><root>&x;</root>`),
    "bad-answer",
    " cannot be read as XML (doctype)",
  ),
  "depth without end": describes(http("<a>".repeat(20_000)), "bad-answer", " cannot be read as XML (too-deep)"),
  "a redirection to another host": describes(
    http("", "302 Found", `Location: ${VICTIM}/igd.xml\r\n`),
    "bad-answer",
    " was answered with HTTP status 302, a redirection, which is not followed",
  ),
  "failure after failure": describes(
    http("no", "500 Internal Server Error"),
    "bad-answer",
    " was answered with HTTP status 500",
  ),
  "no HTTP": describes("SSH-2.0-dropbear\r\n", "bad-answer", ": Parse Error: Expected HTTP/, RTSP/ or ICE/"),
  "silence on HTTP": describes(() => {}, "no-answer", ": no whole answer within 3000 ms"),
  "a byte at a time": describes(dripping(), "no-answer", ": no whole answer within 3000 ms"),
  "services of another kind": describes(
    described(service("ContentDirectory:1", "/ctl")),
    "unsupported",
    " names no service that maps ports",
  ),
  "calls to another host": describes(
    described(service("WANIPConnection:1", `${VICTIM}/ctl`)),
    "bad-answer",
    " leads away from the gateway",
  ),
  "a base on another host": {
    replies: { "/igd.xml": described(`<URLBase>${VICTIM}</URLBase>${service("WANIPConnection:1", "/ctl")}`) },
    failure: ["bad-answer", "GetExternalIPAddress was answered with HTTP status 404"],
    asked: ["/igd.xml", "GetExternalIPAddress"],
  },
  "a description on another host": {
    search: located(`${VICTIM}/igd.xml`),
    failure: ["bad-answer", `its answer leads away from ${HOME.gateway}: "${VICTIM}/igd.xml"`],
    asked: [],
  },
  "a description where nobody listens": {
    search: located(`http://${HOME.gateway}:5001/igd.xml`),
    failure: ["no-answer", "The description at port 5001: connect ECONNREFUSED 10.1.0.1:5001"],
    asked: [],
  },
  "a thousand descriptions": {
    search: located(...Array.from({ length: 1_000 }, (_, i) => `${AT}/${i}`)),
    failure: ["bad-answer", `${DESCRIBED} was answered with HTTP status 404`],
    asked: ["/0", "/1", "/2", "/3"],
  },
  "no answer at all": {
    search: () => {},
    failure: ["no-answer", `no UPnP gateway answered from ${HOME.gateway}`],
    asked: [],
  },
  "calls that fail": answers(
    http("", "500 Internal Server Error"),
    "bad-answer",
    "GetExternalIPAddress was answered with HTTP status 500",
  ),
  "calls that are laughed at": answers(
    http(`${LAUGHS}<a>&j;</a>`),
    "bad-answer",
    "GetExternalIPAddress was answered with something that is no answer to it",
  ),
  "no address": answers(address("0.0.0.0"), "no-external-address", "has no external address now"),
  "this host's own address": answers(
    address("127.0.0.1"),
    "bad-answer",
    'told an external address that is none: "127.0.0.1"',
  ),
  "garbage for an address": answers(
    address("&lt;script&gt;"),
    "bad-answer",
    'told an external address that is none: "<script>"',
  ),
};

describeLab("a hostile gateway", () => {
  test.concurrent.each(Object.entries(CASES))(
    "with %s",
    async (_, { search = located(`${AT}/igd.xml`), replies = {}, failure, asked = ["/igd.xml"] }) => {
      await using lab = await Lab.open();
      const home = await homeRouter(lab);
      await home.inside.nft(STRAYS);
      using gateway = await HostileGateway.open(home.router, HOME.gateway, search, replies);
      using victim = await HostileGateway.open(home.second, HOME.second, () => {});
      const agent = await UpnpAgent.open(home.inside, { externalPort: 7_000 });
      const before = peakMb(agent.pid);
      const [kind, message] = failure;
      expect(await agent.does("map")).toEqual({ type: "failed", kind, message });
      expect([gateway.asked, victim.asked]).toEqual([[...asked], []]);
      expect(await home.inside.run(["nft", "list", "counter", "ip", "strays", "strays"])).toContain(
        "packets 0 bytes 0",
      );
      expect(peakMb(agent.pid) - before).toBeLessThan(MAX_GROWTH_MB);
    },
    30_000,
  );

  test("could lead a host astray that lets itself be led: what counts that does count", async () => {
    await using lab = await Lab.open();
    const home = await homeRouter(lab);
    await home.inside.nft(STRAYS);
    await home.inside.run(["ping", "-c", "1", HOME.gateway]);
    expect(await strays(home.inside)).toBe(0);
    await home.inside.run(["ping", "-c", "1", HOME.second]);
    expect(await strays(home.inside)).toBe(1);
  }, 30_000);

  test.concurrent.each([
    ["itself", VICTIM],
    ["the gateway", AT],
  ])(
    "that is none: another host answers with %s",
    async (_, base) => {
      await using lab = await Lab.open();
      const home = await homeRouter(lab);
      await home.inside.nft(STRAYS);
      using liar = await HostileGateway.open(home.second, HOME.second, () => {});
      // It sees the port that searches come from, as anybody on a home network does.
      using gateway = await HostileGateway.open(home.router, HOME.gateway, (_fan, from) =>
        located(`${base}/igd.xml`)(liar.fan, from),
      );
      const agent = await UpnpAgent.open(home.inside, { externalPort: 7_000 });
      expect(await agent.does("map")).toEqual({
        type: "failed",
        kind: "no-answer",
        message: `no UPnP gateway answered from ${HOME.gateway}`,
      });
      expect([gateway.asked, liar.asked]).toEqual([[], []]);
      expect(await home.inside.run(["nft", "list", "counter", "ip", "strays", "strays"])).toContain(
        "packets 0 bytes 0",
      );
    },
    30_000,
  );
});

/** Counts what leaves for anybody but the gateway and the group of searches. */
const STRAYS = `
  table ip strays {
    counter strays { }
    chain out {
      type filter hook output priority 0;
      oifname "lo" accept
      ip daddr != { ${HOME.gateway}, 239.255.255.250 } ip protocol != igmp counter name strays
    }
  }`;

async function strays(host: Namespace): Promise<number> {
  return Number(/packets (\d+)/.exec(await host.run(["nft", "list", "counter", "ip", "strays", "strays"]))?.[1]);
}

/** The most memory that a process has had so far. */
function peakMb(pid: number): number {
  const kb = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kb) / 1024;
}

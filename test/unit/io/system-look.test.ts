import { describe, expect, test } from "bun:test";
import { tryBind } from "../../../src/io/system/free-port.ts";
import { congestionChoices, openFilesLimit } from "../../../src/io/system/kernel-settings.ts";
import { outputOf } from "../../../src/io/system/output-of.ts";
import { portHolder } from "../../../src/io/system/port-holder.ts";
import { interfaceTowards } from "../../../src/io/system/route-to.ts";
import { refusesDatagrams } from "../../../src/io/udp/udp-refusal.ts";
import { udpEnd } from "../../e2e/support/udp-end.ts";

/** What `ut check` asks the system. */
const isLinux = process.platform === "linux";

function tcpListener(): { readonly port: number } & Disposable {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  return { port: listener.port, [Symbol.dispose]: () => listener.stop(true) };
}

describe("ports", () => {
  test("that are free are let go again", async () => {
    const { port } = await udpEnd().then((end) => {
      end[Symbol.dispose]();
      return end;
    });
    expect([await tryBind("udp", "127.0.0.1", port), await tryBind("udp", "127.0.0.1", port)]).toEqual([
      undefined,
      undefined,
    ]);
  });

  test("that are taken, also by a socket of one address only; and addresses that are nobody's", async () => {
    using udp = await udpEnd();
    using tcp = tcpListener();
    const codes = [
      await tryBind("udp", "127.0.0.1", udp.port),
      await tryBind("udp", "0.0.0.0", udp.port),
      await tryBind("tcp", "127.0.0.1", tcp.port),
      await tryBind("tcp", "0.0.0.0", tcp.port),
      await tryBind("udp", "192.0.2.99", 0),
      await tryBind("tcp", "192.0.2.99", 0),
    ].map((problem) => problem?.code);
    const [inUse, notOurs] = ["EADDRINUSE", "EADDRNOTAVAIL"];
    expect(codes).toEqual([inUse, inUse, inUse, inUse, notOurs, notOurs]);
  });

  test.skipIf(!isLinux)("and who has them", async () => {
    using udp = await udpEnd();
    using tcp = tcpListener();
    const name = (await Bun.file("/proc/self/comm").text()).trim();
    const self = { pid: process.pid, name };
    expect([portHolder("udp", udp.port), portHolder("tcp", tcp.port)]).toEqual([self, self]);
    const { port } = tcp;
    tcp[Symbol.dispose]();
    expect(portHolder("tcp", port)).toBeUndefined();
  });
});

describe("a UDP port", () => {
  test("refuses datagrams where nobody listens, and takes them where somebody does", async () => {
    using echo = await udpEnd({ echo: true });
    using deaf = await udpEnd();
    const { port } = deaf;
    expect([await refusesDatagrams("127.0.0.1", echo.port), await refusesDatagrams("127.0.0.1", port)]).toEqual([
      false,
      false,
    ]);
    expect(deaf.received).toEqual([new Uint8Array(1)]);
    deaf[Symbol.dispose]();
    expect(await refusesDatagrams("127.0.0.1", port)).toBe(true);
  });
});

describe("the system's own words", () => {
  test("the way to loopback is loopback", async () => {
    expect(await interfaceTowards("127.0.0.1")).toMatch(/^lo0?$/);
  });

  test("a tool that fails, or is not there, says nothing", async () => {
    expect([await outputOf(["false"]), await outputOf(["no-such-tool-of-ut"])]).toEqual([undefined, undefined]);
    expect(await outputOf(["echo", "well"])).toBe("well\n");
  });

  test.skipIf(!isLinux)("limits and congestion controls are read", () => {
    expect(openFilesLimit()).toBeGreaterThan(0);
    expect(congestionChoices()?.available).toContain("reno");
  });
});

import { describe, expect, test } from "bun:test";
import { ExitDialer } from "../../../../src/app/socks/exit-dialer.ts";
import { UtError } from "../../../../src/core/error.ts";
import { ExitPolicy } from "../../../../src/core/socks/exit-policy.ts";
import { parseExitRule } from "../../../../src/core/socks/exit-rule.ts";
import type { ResolvedAddress } from "../../../../src/io/tcp/happy-eyeballs.ts";
import { tcpServer } from "./socks-bed.ts";

const never = new AbortController().signal;

function dialer(destinations: readonly string[], resolve: (host: string) => Promise<string[]>) {
  const rules = destinations.flatMap((text) => parseExitRule(text) ?? []);
  const policy = new ExitPolicy({ rules, isOwn: () => false });
  return new ExitDialer(policy, async (host) =>
    (await resolve(host)).map((address) => ({ address, family: address.includes(":") ? 6 : 4 })),
  );
}

describe("a name", () => {
  test("that is pointed elsewhere after it was judged changes nothing: it is looked up once", async () => {
    using server = await tcpServer((program) => program.socket.end());
    const answers = [["127.0.0.1"], ["10.0.0.1"]];
    const exit = dialer(["127.0.0.1"], async () => answers.shift() ?? []);
    const dialled = await exit.dial({ host: "a.example", port: server.port }, "home", never);
    expect(dialled.ok && dialled.connection.remoteAddress).toBe("127.0.0.1");
    expect(answers).toHaveLength(1);
    if (dialled.ok) dialled.connection.reset();
  });

  test("of which some addresses may be reached leads to these alone", async () => {
    const exit = dialer([], async () => ["10.0.0.1", "8.8.8.8", "::ffff:127.0.0.1", "2606:4700::1111", "fe80::1"]);
    expect(await exit.look({ host: "a.example", port: 443 }, "home", never)).toEqual({
      ok: true,
      addresses: ["8.8.8.8", "2606:4700::1111"],
    });
  });

  test("that leads nowhere allowed is refused for what it leads to", async () => {
    const exit = dialer([], async () => ["::ffff:169.254.169.254", "10.0.0.1"]);
    expect(await exit.dial({ host: "a.example", port: 80 }, "home", never)).toEqual({
      ok: false,
      fault: "link_local",
      reply: "not-allowed",
    });
  });

  test.each(["2130706433", "0x7f.1", "127.1", "localhost"])(
    "that the resolver takes for an address: %s",
    async (host) => {
      // The system's own resolver.
      const exit = new ExitDialer(new ExitPolicy({ rules: [], isOwn: () => false }));
      expect(await exit.dial({ host, port: 80 }, "home", never)).toEqual({
        ok: false,
        fault: "loopback",
        reply: "not-allowed",
      });
    },
  );

  test("that has no address, or no answer in time, is told so", async () => {
    const nothing = dialer([], async () => []);
    expect(await nothing.dial({ host: "a.example", port: 80 }, "home", never)).toMatchObject({
      fault: "resolve",
      reply: "host-unreachable",
    });
    const silent = dialer([], () => new Promise(() => {}));
    expect(await silent.dial({ host: "a.example", port: 80 }, "home", AbortSignal.timeout(20))).toMatchObject({
      fault: "timeout",
      reply: "ttl-expired",
    });
  });

  test("waits behind 64 of the same peer's, or 256 of all, only to be told that there are too many", async () => {
    const silent = dialer([], () => new Promise(() => {}));
    const given = AbortSignal.abort();
    const look = async (peer: string) => {
      const looked = await silent.look({ host: "a.example", port: 80 }, peer, given);
      return looked.ok ? undefined : looked.fault;
    };
    for (const peer of ["a", "b", "c", "d"]) {
      for (let i = 0; i < 64; i++) expect(await look(peer)).toBe("timeout");
      expect(await look(peer)).toBe("crowded");
    }
    expect(await look("e")).toBe("crowded");
  });
});

test("the next address is tried when one refuses", async () => {
  using server = await tcpServer((program) => program.socket.end());
  const exit = dialer(["127.0.0.0/8"], async () => ["127.0.0.2", "127.0.0.1"]);
  const dialled = await exit.dial({ host: "a.example", port: server.port }, "home", never);
  expect(dialled.ok && dialled.connection.remoteAddress).toBe("127.0.0.1");
  if (dialled.ok) dialled.connection.reset();
});

/** A network in which every connection hangs until it is let go, and a dialer that gives it up at once. */
function hangingDialer(resolve?: () => Promise<ResolvedAddress[]>) {
  const letGo: (() => void)[] = [];
  const exit = new ExitDialer(
    new ExitPolicy({ rules: [], isOwn: () => false }),
    resolve,
    async (_address, _port, _signal, settled = () => {}) => {
      letGo.push(settled);
      throw new UtError("io.connect", "given up", { details: { failure: "timed-out" } });
    },
  );
  const dial = async (peer: string, host = "8.8.8.8") => {
    const dialled = await exit.dial({ host, port: 80 }, peer, never);
    return dialled.ok ? undefined : dialled.fault;
  };
  return { letGo, dial };
}

test("connections that were given up count until the system lets go of them, and too many are turned away", async () => {
  const { letGo, dial } = hangingDialer();
  for (const peer of ["a", "b", "c", "d"]) {
    for (let i = 0; i < 512; i++) expect(await dial(peer)).toBe("timeout");
    expect(await dial(peer)).toBe("crowded");
  }
  expect(await dial("e")).toBe("crowded");
  letGo[0]?.();
  expect([await dial("b"), await dial("a"), letGo.length]).toEqual(["crowded", "timeout", 2_049]);
});

test("a peer's share is of connections, however many addresses its names have", async () => {
  const addresses = Array.from({ length: 8 }, (_, i) => ({ address: `8.8.8.${i}`, family: 4 }));
  const { letGo, dial } = hangingDialer(async () => addresses);
  for (let i = 0; i < 512 / 8; i++) expect(await dial("a", "many.example")).toBe("timeout");
  expect(await dial("a", "many.example")).toBe("crowded");
  for (const settled of letGo.slice(0, 3)) settled();
  expect([await dial("a", "many.example"), letGo.length]).toEqual(["crowded", 515]);
  expect(await dial("b", "many.example")).toBe("timeout");
});

test("lookups leave nothing behind on a signal that lives on", async () => {
  const exit = dialer([], async () => ["8.8.8.8"]);
  const { signal } = new AbortController();
  let listeners = 0;
  signal.addEventListener = () => {
    listeners += 1;
  };
  signal.removeEventListener = () => {
    listeners -= 1;
  };
  for (const host of ["a.example", "b.example"]) await exit.look({ host, port: 80 }, "home", signal);
  expect(listeners).toBe(0);
});

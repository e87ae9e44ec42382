import { describe, expect, test } from "bun:test";
import { ExitDialer } from "../../../../src/app/socks/exit-dialer.ts";
import { UtError } from "../../../../src/core/error.ts";
import { ExitPolicy } from "../../../../src/core/socks/exit-policy.ts";
import { parseExitRule } from "../../../../src/core/socks/exit-rule.ts";
import { tcpServer } from "./socks-bed.ts";

const never = new AbortController().signal;

function dialer(destinations: readonly string[], resolve: (host: string) => Promise<string[]>) {
  const rules = destinations.flatMap((text) => parseExitRule(text) ?? []);
  const policy = new ExitPolicy({ rules, ownAddresses: () => [] });
  return new ExitDialer(policy, async (host) =>
    (await resolve(host)).map((address) => ({ address, family: address.includes(":") ? 6 : 4 })),
  );
}

describe("a name", () => {
  test("that is pointed elsewhere after it was judged changes nothing: it is looked up once", async () => {
    using server = await tcpServer((program) => program.socket.end());
    const answers = [["127.0.0.1"], ["10.0.0.1"]];
    const exit = dialer(["127.0.0.1"], async () => answers.shift() ?? []);
    const dialled = await exit.dial({ host: "a.example", port: server.port }, never);
    expect(dialled.ok && dialled.connection.remoteAddress).toBe("127.0.0.1");
    expect(answers).toHaveLength(1);
    if (dialled.ok) dialled.connection.reset();
  });

  test("of which some addresses may be reached leads to these alone", async () => {
    const exit = dialer([], async () => ["10.0.0.1", "8.8.8.8", "::ffff:127.0.0.1", "2606:4700::1111", "fe80::1"]);
    expect(await exit.look({ host: "a.example", port: 443 }, never)).toEqual({
      ok: true,
      addresses: ["8.8.8.8", "2606:4700::1111"],
    });
  });

  test("that leads nowhere allowed is refused for what it leads to", async () => {
    const exit = dialer([], async () => ["::ffff:169.254.169.254", "10.0.0.1"]);
    expect(await exit.dial({ host: "a.example", port: 80 }, never)).toEqual({
      ok: false,
      fault: "link_local",
      reply: "not-allowed",
    });
  });

  test.each(["2130706433", "0x7f.1", "127.1", "localhost"])(
    "that the resolver takes for an address: %s",
    async (host) => {
      // The system's own resolver.
      const exit = new ExitDialer(new ExitPolicy({ rules: [], ownAddresses: () => [] }));
      expect(await exit.dial({ host, port: 80 }, never)).toEqual({
        ok: false,
        fault: "loopback",
        reply: "not-allowed",
      });
    },
  );

  test("that has no address, or no answer in time, is told so", async () => {
    const nothing = dialer([], async () => []);
    expect(await nothing.dial({ host: "a.example", port: 80 }, never)).toMatchObject({
      fault: "resolve",
      reply: "host-unreachable",
    });
    const silent = dialer([], () => new Promise(() => {}));
    expect(await silent.dial({ host: "a.example", port: 80 }, AbortSignal.timeout(20))).toMatchObject({
      fault: "timeout",
      reply: "ttl-expired",
    });
  });

  test("waits behind 256 others only to be told that there are too many", async () => {
    const silent = dialer([], () => new Promise(() => {}));
    const given = AbortSignal.abort();
    for (let i = 0; i < 256; i++) await silent.look({ host: `n${i}.example`, port: 80 }, given);
    expect(await silent.look({ host: "a.example", port: 80 }, never)).toMatchObject({
      fault: "crowded",
      reply: "general-failure",
    });
  });
});

test("the next address is tried when one refuses", async () => {
  using server = await tcpServer((program) => program.socket.end());
  const exit = dialer(["127.0.0.0/8"], async () => ["127.0.0.2", "127.0.0.1"]);
  const dialled = await exit.dial({ host: "a.example", port: server.port }, never);
  expect(dialled.ok && dialled.connection.remoteAddress).toBe("127.0.0.1");
  if (dialled.ok) dialled.connection.reset();
});

test("connections that were given up count until the system lets go of them, and too many are turned away", async () => {
  const policy = new ExitPolicy({ rules: [], ownAddresses: () => [] });
  const letGo: (() => void)[] = [];
  const exit = new ExitDialer(policy, undefined, async (_address, _port, _signal, settled = () => {}) => {
    letGo.push(settled);
    throw new UtError("io.connect", "given up", { details: { failure: "timed-out" } });
  });
  const dial = async () => {
    const dialled = await exit.dial({ host: "8.8.8.8", port: 80 }, never);
    return dialled.ok ? undefined : dialled.fault;
  };
  for (let i = 0; i < 2_048; i++) expect(await dial()).toBe("timeout");
  expect(await dial()).toBe("crowded");
  letGo[0]?.();
  expect([await dial(), letGo.length]).toEqual(["timeout", 2_049]);
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
  for (const host of ["a.example", "b.example"]) await exit.look({ host, port: 80 }, signal);
  expect(listeners).toBe(0);
});

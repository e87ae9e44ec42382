import { afterAll, beforeAll, expect, test } from "bun:test";
import { readlinkSync } from "node:fs";
import { openFan } from "../../src/io/udp/udp-fan.ts";
import { describeLab } from "./describe-lab.ts";
import { inside, openInside } from "./inside.ts";
import { Lab } from "./lab.ts";
import type { Namespace } from "./namespace.ts";

const here = () => readlinkSync("/proc/thread-self/ns/net");

describeLab("a thread inside a namespace", () => {
  let lab: Lab;
  let one: Namespace;
  let other: Namespace;
  let home: string;

  beforeAll(async () => {
    home = here();
    lab = await Lab.open();
    [one, other] = await Promise.all([lab.namespace("one"), lab.namespace("other")]);
  });
  afterAll(async () => await lab[Symbol.asyncDispose]());

  test("opens sockets there, several and at once, each pair of hosts on the same port", async () => {
    const binds = [
      { address: "127.0.0.1", port: 4_000 },
      { address: "127.0.0.1", port: 4_001 },
    ];
    const fans = await Promise.all([one, other].map((host) => openInside(host, () => openFan(binds))));
    const listening = (host: Namespace) => host.run(["ss", "-Huan"]).then((lines) => lines.match(/400[01]/g));
    expect(await Promise.all([listening(one), listening(other)])).toEqual([
      ["4000", "4001"],
      ["4000", "4001"],
    ]);
    for (const fan of fans) fan[Symbol.dispose]();
  });

  test("comes back, from nested visits too", () => {
    const visits = inside(one, () => [here(), inside(other, here), here()]);
    expect(new Set([home, ...visits]).size).toBe(3);
    expect(visits[2]).toBe(visits[0] as string);
    expect(here()).toBe(home);
  });

  test("comes back from what failed", async () => {
    const failure = () => {
      throw new Error("no such thing");
    };
    expect(() => inside(one, failure)).toThrow("no such thing");
    expect(here()).toBe(home);
    await expect(openInside(one, async () => failure())).rejects.toThrow("no such thing");
    const taken = { address: "127.0.0.1", port: 4_000 };
    await expect(openInside(one, () => openFan([taken, taken]))).rejects.toThrow("Cannot bind UDP 127.0.0.1:4000");
    expect(here()).toBe(home);
    // A failed visit keeps nobody from the next one.
    using _fan = await openInside(one, () => openFan([taken]));
    expect(here()).toBe(home);
  });

  test("never stays for a turn of the event loop", async () => {
    let disposed = false;
    let seen = "";
    const slow = openInside(one, async () => {
      await new Promise((resolve) => setImmediate(resolve));
      seen = here();
      return {
        [Symbol.dispose]: () => {
          disposed = true;
        },
      };
    });
    await expect(slow).rejects.toThrow("waited for the event loop");
    expect({ seen, disposed, now: here() }).toEqual({ seen: home, disposed: true, now: home });
  });
});

import { describe, expect, test } from "bun:test";
import { networkInterfaces } from "node:os";
import { localAddressTowards, ownAddresses } from "../../../../src/io/system/interfaces.ts";

describe("own addresses", () => {
  test("loopback is one of them for who asks for it", () => {
    const [name] = Object.entries(networkInterfaces()).find(([, list]) => list?.some(({ internal }) => internal)) ?? [];
    const loopback = ownAddresses(["loopback"]).filter(({ address }) => address === "127.0.0.1");
    expect(loopback).toEqual([
      { address: "127.0.0.1", interfaceName: name as string, prefixLength: 8, scope: "loopback", isTunnel: false },
    ]);
  });

  test("unless told, only those at which others can reach this host", () => {
    const scopes = new Set(ownAddresses().map(({ scope }) => scope));
    expect([...scopes].filter((scope) => !["private", "shared", "public"].includes(scope))).toEqual([]);
  });
});

describe("the address towards an endpoint", () => {
  test.each([
    ["127.0.0.1", "127.0.0.1"],
    ["::1", "::1"],
  ])("%s is %s", async (address, expected) => {
    expect(await localAddressTowards({ address, port: 9 })).toBe(expected);
  });

  test("there is none where the system lets nobody send", async () => {
    expect(await localAddressTowards({ address: "255.255.255.255", port: 9 })).toBeUndefined();
  });
});

import { expect } from "bun:test";
import { type Bystander, bystander } from "./bystander.ts";
import { type Settings, type TestNode, testServer } from "./nodes.ts";
import { type UdpEnd, udpEnd } from "./udp-end.ts";

/** A server with an echo behind it, and somebody else's traffic through it. */
export interface Scene extends AsyncDisposable {
  readonly wg: UdpEnd;
  readonly server: TestNode;
  readonly other: Bystander;
}

export async function scene(settings: Settings = {}): Promise<Scene> {
  const wg = await udpEnd({ echo: true });
  const server = await testServer(wg.port, settings);
  const other = await bystander(server.port, settings.tcp);
  return {
    wg,
    server,
    other,
    async [Symbol.asyncDispose]() {
      await other[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      wg[Symbol.dispose]();
    },
  };
}

/** The bystander has all of its datagrams back, each once, and all of its lanes. */
export async function expectIntact({ other, server }: Scene): Promise<void> {
  const { sent, back } = await other.finish();
  expect(back.toSorted((a, b) => a - b)).toEqual(Array.from({ length: sent }, (_, i) => i));
  expect([...server.counters("bystander").frameErrors]).toEqual([]);
  expect(other.node.logbook.has("lane_close")).toBe(false);
}

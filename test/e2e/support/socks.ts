import { connect } from "node:net";
import { Program } from "../../unit/app/socks/socks-bed.ts";
import { identity } from "./identities.ts";
import { type PeerProcess, peerProcess, type serverProcess } from "./peers.ts";

type Server = Awaited<ReturnType<typeof serverProcess>>;

export const officeAgent = await identity({ cn: "office", agent: true });
export const homeProxy = await identity({ cn: "home" });

/** An agent with a way out for `home`. */
export function exitOf(server: Server, more: Record<string, unknown> = {}, destinations = ["127.0.0.0/8"]) {
  return peerProcess(officeAgent, server, {
    role: "agent",
    services: { socks: { allow: ["home"], destinations } },
    ...more,
  });
}

/** The proxy of `home`, as a process, and its port. */
export async function proxyOf(
  server: Server,
  more: Record<string, unknown> = {},
  args: readonly string[] = [],
): Promise<PeerProcess & { readonly port: number }> {
  const socks = { listen_addr: "127.0.0.1:0", to: "office", ...(more.socks as object) };
  const peer = await peerProcess(homeProxy, server, { role: "socks", ...more, socks }, args);
  return { ...peer, port: peer.ports[0] ?? 0 };
}

/** A program that has asked the proxy for a port on loopback, and was let in. `keeps`: it remembers what it hears. */
export async function connected(proxy: number, port: number, keeps = true): Promise<Program> {
  const program = asking(proxy, Buffer.from([5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 0xff]), true);
  await program.has(12);
  if (program.received[3] !== 0) throw new Error(`refused: ${program.received.toString("hex")}`);
  program.received = program.received.subarray(12);
  program.bytes -= 12;
  program.keeps = keeps;
  return program;
}

/** A program that says `bytes` to the proxy. */
export function asking(proxy: number, bytes: Uint8Array | string, allowHalfOpen = false): Program {
  const program = new Program(connect({ port: proxy, host: "127.0.0.1", allowHalfOpen }));
  program.send(bytes);
  return program;
}

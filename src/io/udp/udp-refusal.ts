import { openUdp } from "./udp.ts";

/** ICMP comes back within a round trip; on this machine and its neighbours that is nothing. */
const WAIT_MS = 500;

/**
 * Whether a UDP port refuses datagrams, which the system tells where nobody listens. One byte is sent, which means
 * nothing to anybody. False: nothing refused it, so somebody listens, or a firewall drops what comes. Rejects with
 * `io.bind` when there is no such host.
 */
export async function refusesDatagrams(host: string, port: number): Promise<boolean> {
  const refused = Promise.withResolvers<boolean>();
  using udp = await openUdp({
    host: host.includes(":") ? "::" : "0.0.0.0",
    port: 0,
    connect: { host, port },
    onDatagram: () => refused.resolve(false),
    onDrop: () => {},
    onSent: () => {},
    onError: () => refused.resolve(true),
  });
  udp.send([new Uint8Array(1)]);
  const late = setTimeout(() => refused.resolve(false), WAIT_MS);
  try {
    return await refused.promise;
  } finally {
    clearTimeout(late);
  }
}

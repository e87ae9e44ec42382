import { join } from "node:path";
import { type Endpoint, formatEndpoint } from "../../src/core/net/endpoint.ts";
import { openFan } from "../../src/io/udp/udp-fan.ts";
import { openInside } from "./inside.ts";
import type { Job } from "./job.ts";
import type { Lab } from "./lab.ts";
import type { Namespace } from "./namespace.ts";

const PORTS = { primary: 3_478, alternate: 3_479 } as const;

/** A Binding request without attributes (RFC 8489 §5), in bytes, so that the fixture trusts no codec of ours. */
const BINDING_REQUEST = Uint8Array.fromHex(`000100002112a442${"ab".repeat(12)}`);
const READY_MS = 5_000;
const ASK_AGAIN_MS = 10;

/** A running coturn: a STUN server for RFC 5780 on both ports of each of its addresses. */
export interface Coturn extends AsyncDisposable {
  /** Both ports of the first address, then of the second. */
  readonly endpoints: readonly Endpoint[];
}

/** Starts coturn on two addresses of a host; it answers on all of its endpoints when this returns. */
export async function startCoturn(
  lab: Lab,
  host: Namespace,
  addresses: readonly [string, string],
  auth: readonly string[] = ["--no-auth"],
): Promise<Coturn> {
  const folder = await lab.subfolder(`coturn-${host.name}`);
  const job = host.start("coturn", [
    ...["turnserver", "-n", "--stun-only", "--no-cli", "--no-tls", "--no-dtls", "--no-tcp", ...auth],
    ...addresses.map((address) => `--listening-ip=${address}`),
    `--listening-port=${PORTS.primary}`,
    `--alt-listening-port=${PORTS.alternate}`,
    // Everything that it would otherwise share with all the coturns of this machine.
    `--pidfile=${join(folder, "pid")}`,
    `--userdb=${join(folder, "turndb")}`,
    "--log-file=stdout",
  ]);
  const endpoints = addresses.flatMap((address) => Object.values(PORTS).map((port) => ({ address, port })));
  await answers(job, host, endpoints);
  return { endpoints, [Symbol.asyncDispose]: () => job[Symbol.asyncDispose]() };
}

/** Flags in place of `--no-auth`: whoever asks must know the password (RFC 8489 §9.2). */
export function withPassword(username: string, password: string, realm: string): readonly string[] {
  return ["--secure-stun", "--lt-cred-mech", `--user=${username}:${password}`, `--realm=${realm}`];
}

async function answers(job: Job, host: Namespace, endpoints: readonly Endpoint[]): Promise<void> {
  using fan = await openInside(host, () => openFan([{}]));
  const silent = new Map(endpoints.map((endpoint) => [formatEndpoint(endpoint), endpoint]));
  fan.onDatagram = ({ from }) => silent.delete(formatEndpoint(from));
  for (const deadline = Date.now() + READY_MS; silent.size > 0; ) {
    if (!job.running || Date.now() > deadline)
      throw new Error(`coturn does not answer at ${[...silent.keys()].join(", ")}; it last wrote:\n${job.tail}`);
    fan.send([...silent.values()].map((to) => ({ socket: 0, to, payload: BINDING_REQUEST })));
    await Bun.sleep(ASK_AGAIN_MS);
  }
}

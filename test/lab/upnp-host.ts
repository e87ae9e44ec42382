import { join } from "node:path";
import type { Job } from "./job.ts";
import type { Namespace } from "./namespace.ts";

/** What the agent says of commands; it also tells its gateway, at first and when that changes. */
const OUTCOME = /"(mapped|unmapped|failed|listed)"/;

export interface UpnpAgentOptions {
  readonly externalPort: number;
  readonly leaseSeconds?: number;
}

/** The internal port of all agents. */
export const INTERNAL_PORT = 6_000;

/** A host that maps its UDP port 6000: `upnp-agent.ts` in a namespace. It ends with its lab. */
export class UpnpAgent {
  readonly #job: Job;
  /** As it found it at its start; null without one. */
  readonly gateway: unknown;

  private constructor(job: Job, gateway: unknown) {
    this.#job = job;
    this.gateway = gateway;
  }

  static async open(host: Namespace, { externalPort, leaseSeconds = 120 }: UpnpAgentOptions): Promise<UpnpAgent> {
    const script = join(import.meta.dir, "upnp-agent.ts");
    const ports = [INTERNAL_PORT, externalPort, leaseSeconds].map(String);
    const job = host.start("upnp-agent", [process.execPath, script, ...ports]);
    return new UpnpAgent(job, await gatewayLine(job));
  }

  get pid(): number {
    return this.#job.pid;
  }

  /** `map`, `unmap` or `list`: what came of it. */
  async does(command: string): Promise<unknown> {
    return JSON.parse(await this.#job.request(command, OUTCOME, 20_000));
  }

  /** The next gateway that it tells. */
  async changedGateway(): Promise<unknown> {
    return await gatewayLine(this.#job);
  }
}

async function gatewayLine(job: Job): Promise<unknown> {
  return JSON.parse(await job.line(/"gateway"/)).gateway;
}

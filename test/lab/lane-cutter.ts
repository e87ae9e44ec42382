import type { Namespace } from "./namespace.ts";

/** One lane as the client's kernel knows it. Its local port names it: all lanes go to the same server port. */
export type LanePort = number;

/** Finds and breaks single lanes of a `ut` client from outside, the way a network does. */
export class LaneCutter {
  readonly #client: Namespace;
  readonly #server: Namespace;
  readonly #serverPort: number;

  constructor(client: Namespace, server: Namespace, serverPort: number) {
    this.#client = client;
    this.#server = server;
    this.#serverPort = serverPort;
  }

  /** The lanes that are up, in the order of their ports. */
  async lanes(): Promise<LanePort[]> {
    const filter = ["state", "established", `dport = :${this.#serverPort}`];
    const lines = (await this.#client.run(["ss", "-Htn", ...filter])).trim().split("\n");
    // Recv-Q Send-Q local:port peer:port
    const ports = lines.map((line) => Number(/^\s*\d+\s+\d+\s+\S+:(\d+)\s/.exec(line)?.[1]));
    return ports.filter((port) => port > 0).sort((one, other) => one - other);
  }

  /** Aborts the lane's socket at one end; the other end gets the kernel's RST over the link. */
  async reset(lane: LanePort, at: "client" | "server"): Promise<void> {
    const [namespace, side] = at === "client" ? [this.#client, "sport"] : [this.#server, "dport"];
    // ss -K says nothing when it killed nothing, so look at what it prints: the sockets that it closed.
    const closed = await namespace.run(["ss", "-HKtn", "state", "established", `${side} = :${lane}`]);
    if (closed.trim() === "") throw new Error(`Cannot reset lane ${lane} at the ${at}: no such socket`);
  }

  /**
   * Drops everything that arrives on the lane, at both ends, without a word. It must happen on arrival: a packet
   * dropped on its way out is an error that the sending kernel notices.
   */
  async blackhole(lane: LanePort): Promise<void> {
    await this.#server.nft(dropTable(`tcp sport ${lane}`));
    await this.#client.nft(dropTable(`tcp dport ${lane}`));
  }

  async healAll(): Promise<void> {
    for (const namespace of [this.#client, this.#server]) await namespace.nft(NO_TABLE);
  }
}

/** Adding first makes the deletion work whether or not the table is there. */
const NO_TABLE = "add table inet lane_cutter\ndelete table inet lane_cutter\n";

function dropTable(match: string): string {
  return `${NO_TABLE}table inet lane_cutter {
    chain arrivals {
      type filter hook prerouting priority raw;
      ${match} drop
    }
  }\n`;
}

import type { Namespace } from "../../test/lab/namespace.ts";

export interface IperfEnd {
  namespace: Namespace;
  address: string;
}

export interface IperfOptions {
  congestion: "cubic" | "bbr";
  flows: number;
  seconds: number;
}

/** As types, for `Measured`, which is a record. */
export type IperfResult = {
  /** Received by the far end, all flows. */
  mbit: number;
  /** As the sender's kernel saw it: the mean of the flows' means. */
  rttMs: number;
  maxRttMs: number;
  retransmits: number;
};

interface IperfReport {
  error?: string;
  end: {
    streams: { sender: { retransmits: number; mean_rtt: number; max_rtt: number } }[];
    sum_received: { bits_per_second: number };
  };
}

/**
 * TCP from `sender` to `receiver` for some seconds. It always runs as the client on the sending host, because iperf3
 * knows the RTT of its own sockets only: with `-R` it reports 0.
 */
export async function iperf(sender: IperfEnd, receiver: IperfEnd, options: IperfOptions): Promise<IperfResult> {
  const server = receiver.namespace.start("iperf3 server", [
    "iperf3",
    "-s",
    "-1",
    "--forceflush",
    "-B",
    receiver.address,
  ]);
  await server.line(/listening/);
  const flags = ["-t", options.seconds, "-P", options.flows, "-C", options.congestion].map(String);
  const text = await sender.namespace.run(["iperf3", "-J", "-c", receiver.address, ...flags], {
    timeoutMs: options.seconds * 1_000 + 30_000,
  });
  await server.stop();
  const { end, error } = JSON.parse(text) as IperfReport;
  if (error !== undefined) throw new Error(`Cannot measure with iperf3: ${error}`);
  const senders = end.streams.map((stream) => stream.sender);
  return {
    mbit: end.sum_received.bits_per_second / 1e6,
    rttMs: senders.reduce((sum, { mean_rtt }) => sum + mean_rtt, 0) / senders.length / 1e3,
    maxRttMs: Math.max(...senders.map(({ max_rtt }) => max_rtt)) / 1e3,
    retransmits: senders.reduce((sum, { retransmits }) => sum + retransmits, 0),
  };
}

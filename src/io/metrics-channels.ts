import { CHANNEL_DROP_REASONS, type Direction } from "../core/tunnel/counters.ts";
import type { ClientFamily, ClientGroup, Reading } from "./metrics-tunnel.ts";

const DIRECTIONS: readonly Direction[] = ["up", "down"];

/** Datagrams of pipes between peers on the lanes of a client CN: the relay path. */
export const CHANNEL_FAMILIES: readonly ClientFamily[] = [
  traffic("ut_channel_in_bytes_total", "Bytes of channel datagrams that entered this process", "inBytes"),
  traffic("ut_channel_in_packets_total", "Channel datagrams that entered this process", "inPackets"),
  traffic("ut_channel_out_bytes_total", "Bytes of channel datagrams that left this process", "outBytes"),
  traffic("ut_channel_out_packets_total", "Channel datagrams that left this process", "outPackets"),
  {
    name: "ut_channel_drop_total",
    help: "Channel datagrams that were dropped, by reason",
    type: "counter",
    read: (group) =>
      DIRECTIONS.flatMap((dir) =>
        CHANNEL_DROP_REASONS.map((reason) => ({
          labels: { reason, dir },
          value: total(group, (counters) => counters[dir].drops[reason]),
        })),
      ),
  },
  {
    name: "ut_channel_queue_len",
    help: "Channel datagrams that wait for a lane",
    type: "gauge",
    read: ({ sessions }) => [{ value: sessions.reduce((sum, { channels }) => sum + channels.packets, 0) }],
  },
];

function traffic(name: string, help: string, field: "inBytes" | "inPackets" | "outBytes" | "outPackets"): ClientFamily {
  return {
    name,
    help: `${help} (up: client to server)`,
    type: "counter",
    read: (group): Reading[] =>
      DIRECTIONS.map((dir) => ({ labels: { dir }, value: total(group, (counters) => counters[dir][field]) })),
  };
}

function total(group: ClientGroup, read: (counters: ClientGroup["counters"][number]["channels"]) => number): number {
  return group.counters.reduce((sum, { channels }) => sum + read(channels), 0);
}

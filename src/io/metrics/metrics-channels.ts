import { CHANNEL_DROP_REASONS, type Direction, type TunnelCounters } from "../../core/tunnel/counters.ts";
import { dropsPerDirection, perDirection, sum } from "./metrics-directions.ts";
import type { ClientFamily } from "./metrics-tunnel.ts";

const channels = (counters: TunnelCounters, dir: Direction) => counters.channels[dir];

/** Datagrams of pipes between peers on the lanes of a client CN: the relay path. */
export const CHANNEL_FAMILIES: readonly ClientFamily[] = [
  perDirection(
    "ut_channel_in_bytes_total",
    "Bytes of channel datagrams that entered this process",
    "inBytes",
    channels,
  ),
  perDirection("ut_channel_in_packets_total", "Channel datagrams that entered this process", "inPackets", channels),
  perDirection("ut_channel_out_bytes_total", "Bytes of channel datagrams that left this process", "outBytes", channels),
  perDirection("ut_channel_out_packets_total", "Channel datagrams that left this process", "outPackets", channels),
  dropsPerDirection(
    "ut_channel_drop_total",
    "Channel datagrams that were dropped, by reason",
    CHANNEL_DROP_REASONS,
    channels,
  ),
  {
    name: "ut_channel_queue_len",
    help: "Channel datagrams that wait for a lane",
    type: "gauge",
    read: ({ sessions }) => [{ value: sum(sessions, (session) => session.channels.packets) }],
  },
];

import { isPeerRole } from "../../config/roles.ts";
import type { Config } from "../../config/schema.ts";
import { openFilesLimit, receiveBufferLimit } from "../../io/system/kernel-settings.ts";
import type { Check } from "./check.ts";
import { type Finding, ok, warning } from "./finding.ts";

/** Listeners, files and what the runtime itself has open. */
const OWN_FILES = 64;
/** Connections that a server lets strangers begin, and some clients with all their lanes (docs/tunnel.md "Limits"). */
const SERVER_FILES = 512 + 512 + 1_024;
/** A receive buffer for 100 ms of 100 Mbit/s. The kernel counts some 2.3 KB for a datagram of 1,200 bytes. */
const RECEIVE_BYTES = 2 * 1024 * 1024;

/** Whether the system lets the node have as much as it may need. */
export const limitsCheck: Check = {
  name: "limits",
  doing: "reading the system's limits",
  run: async ({ config }) => [...judgeFiles(config, openFilesLimit()), ...judgeReceiveBuffer(receiveBufferLimit())],
};

/** `limit`: files that may be open; undefined where nobody tells. */
export function judgeFiles(config: Config, limit: number | undefined): Finding[] {
  if (limit === undefined) return [];
  const needed = neededFiles(config);
  if (limit >= needed) return [ok(`${limit} open files are allowed, ${needed} may be needed`)];
  return [
    warning(
      "few-files",
      `only ${limit} open files are allowed, and ${needed} may be needed`,
      `ulimit -n ${needed}`,
      `in the systemd unit: LimitNOFILE=${needed}`,
    ),
  ];
}

/** `limit`: bytes that a UDP socket may buffer; undefined where there is no limit, or nobody tells. */
export function judgeReceiveBuffer(limit: number | undefined): Finding[] {
  if (limit === undefined || limit >= RECEIVE_BYTES) return [];
  return [
    warning(
      "small-receive-buffer",
      `UDP sockets may buffer ${Math.round(limit / 1_024)} KiB only: bursts from the local WireGuard are lost`,
      `sudo sysctl -w net.core.rmem_max=${RECEIVE_BYTES * 4}`,
      `echo "net.core.rmem_max = ${RECEIVE_BYTES * 4}" | sudo tee -a /etc/sysctl.d/90-ut.conf`,
    ),
  ];
}

function neededFiles({ roles, tcp, relay, hard_nat }: Config): number {
  const isPeer = roles.some(isPeerRole);
  return (
    OWN_FILES +
    (roles.includes("server") ? SERVER_FILES : 0) +
    (roles.some((role) => role !== "server") ? tcp.lanes + 2 : 0) +
    (roles.includes("relay") ? relay.length : 0) +
    (isPeer && hard_nat.mode !== "off" ? hard_nat.socket_count : 0)
  );
}

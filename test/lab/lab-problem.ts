import { existsSync } from "node:fs";

/** What the lab runs, and the Debian package that brings it. */
const TOOLS: Record<string, string> = {
  ip: "iproute2",
  ss: "iproute2",
  nft: "nftables",
  conntrack: "conntrack",
  turnserver: "coturn",
  turnutils_stunclient: "coturn",
  turnutils_natdiscovery: "coturn",
  gcc: "gcc",
  setpriv: "util-linux",
  sysctl: "procps",
  ping: "iputils-ping",
  iperf3: "iperf3",
  curl: "curl",
  wg: "wireguard-tools",
  "wireguard-go": "wireguard-go",
  miniupnpd: "miniupnpd",
  ssh: "openssh-client",
  sshd: "openssh-server",
  nc: "netcat-openbsd",
};

/** Why no lab can be built on this machine, and what to do about it; undefined when one can. */
export function labProblem(): string | undefined {
  if (process.platform !== "linux") return `network namespaces exist on Linux only, this is ${process.platform}`;
  if (process.getuid?.() !== 0) return "network namespaces need root: run it with sudo";
  if (!existsSync("/dev/net/tun")) return "/dev/net/tun is missing: load the tun module";
  const missing = Object.keys(TOOLS).filter((tool) => Bun.which(tool) === null);
  if (missing.length === 0) return undefined;
  const packages = [...new Set(missing.map((tool) => TOOLS[tool]))].join(" ");
  return `${missing.join(", ")} not found: apt-get install ${packages}`;
}

import { endianness } from "node:os";
import { canonicalIp, parseIp } from "../../core/net/ip.ts";
import { closeSocket, openSocket, receive, sendTo } from "./libc.ts";

/** Linux socket.h, netlink.h and rtnetlink.h. */
const AF_INET = 2;
const AF_INET6 = 10;
const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0x8_0000;
const NETLINK_ROUTE = 0;
const MSG_DONTWAIT = 0x40;
const NLM_F_REQUEST = 1;
const RTM_NEWROUTE = 24;
const RTM_GETROUTE = 26;
const RTA_DST = 1;
const RTN_LOCAL = 2;
const RTN_ANYCAST = 4;

/** `struct nlmsghdr`, `struct rtmsg`, and the head of an attribute. */
const HEADER_BYTES = 16;
const ROUTE_BYTES = 12;
const ATTRIBUTE_BYTES = 4;
const TYPE_OF_ROUTE = HEADER_BYTES + 7;
const MAX_ANSWER_BYTES = 4_096;
const ORDER = endianness() === "LE";

/** `struct sockaddr_nl` of the kernel. */
const KERNEL = new Uint8Array(new ArrayBuffer(12));
new DataView(KERNEL.buffer).setUint16(0, AF_NETLINK, ORDER);

/**
 * Whether Linux takes what is sent to an IP address for this host's own: by its routes, which know more than its
 * interfaces do (`ip route add local 198.51.100.0/24 dev lo`, as load balancers have it; anycast). One question to the
 * kernel over rtnetlink(7), some microseconds. False where it cannot be asked.
 */
export function leadsHere(address: string): boolean {
  const bytes = parseIp(canonicalIp(address) ?? "");
  if (process.platform !== "linux" || bytes === undefined) return false;
  const socket = openSocket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (socket < 0) return false;
  try {
    if (!sendTo(socket, question(bytes), 0, KERNEL)) return false;
    const answer = new Uint8Array(new ArrayBuffer(MAX_ANSWER_BYTES));
    if (receive(socket, answer, MSG_DONTWAIT) <= TYPE_OF_ROUTE) return false;
    const isRoute = new DataView(answer.buffer).getUint16(4, ORDER) === RTM_NEWROUTE;
    return isRoute && [RTN_LOCAL, RTN_ANYCAST].includes(answer[TYPE_OF_ROUTE] ?? 0);
  } finally {
    closeSocket(socket);
  }
}

/** RTM_GETROUTE: which route a packet to `to` takes. */
function question(to: Uint8Array): Uint8Array {
  const message = new Uint8Array(new ArrayBuffer(HEADER_BYTES + ROUTE_BYTES + ATTRIBUTE_BYTES + to.length));
  const view = new DataView(message.buffer);
  view.setUint32(0, message.length, ORDER);
  view.setUint16(4, RTM_GETROUTE, ORDER);
  view.setUint16(6, NLM_F_REQUEST, ORDER);
  message[HEADER_BYTES] = to.length === 4 ? AF_INET : AF_INET6;
  message[HEADER_BYTES + 1] = to.length * 8;
  view.setUint16(HEADER_BYTES + ROUTE_BYTES, ATTRIBUTE_BYTES + to.length, ORDER);
  view.setUint16(HEADER_BYTES + ROUTE_BYTES + 2, RTA_DST, ORDER);
  message.set(to, HEADER_BYTES + ROUTE_BYTES + ATTRIBUTE_BYTES);
  return message;
}

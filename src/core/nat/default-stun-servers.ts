/**
 * The servers that are asked unless the config names others (seed p2p-connection-fixes, solution 2): several operators
 * and regions, because the usual ones are out of reach in some countries. The node's own server is asked before them.
 */
export const DEFAULT_STUN_SERVERS: readonly string[] = [
  "stun.l.google.com:19302",
  "stun1.l.google.com:19302",
  "stun2.l.google.com:19302",
  "stun.cloudflare.com:3478",
  "stun.twilio.com:3478",
  "stun.stunprotocol.org:3478",
  "stun.ekiga.net:3478",
  "stun.ideasip.com:3478",
  "stun.sipgate.net:3478",
  "stun.voip.eutelia.it:3478",
];

import { certificateCheck } from "./certificate-check.ts";
import type { Check } from "./check.ts";
import { clockCheck } from "./clock-check.ts";
import { configCheck } from "./config-check.ts";
import { congestionCheck } from "./congestion-check.ts";
import { directCheck } from "./direct-check.ts";
import { exposureCheck } from "./exposure-check.ts";
import { greetingCheck } from "./greeting-check.ts";
import { keyFileCheck } from "./key-file-check.ts";
import { limitsCheck } from "./limits-check.ts";
import { nameCheck } from "./name-check.ts";
import { peerCheck } from "./peer-check.ts";
import { portsCheck } from "./ports-check.ts";
import { routingCheck } from "./routing-check.ts";
import { targetCheck } from "./target-check.ts";
import { tcpCheck } from "./tcp-check.ts";
import { tlsCheck } from "./tls-check.ts";
import { wireGuardCheck } from "./wireguard-check.ts";

/** In the order in which they are told: what is here first, then the way to the server, then what is beyond it. */
export const CHECKS: readonly Check[] = [
  configCheck,
  keyFileCheck,
  certificateCheck,
  portsCheck,
  exposureCheck,
  limitsCheck,
  congestionCheck,
  wireGuardCheck,
  targetCheck,
  nameCheck,
  routingCheck,
  tcpCheck,
  tlsCheck,
  greetingCheck,
  clockCheck,
  peerCheck,
  directCheck,
];

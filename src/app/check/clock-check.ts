import { readFile } from "node:fs/promises";
import { buildInfo } from "../../io/build-info.ts";
import { askServerTime, type ServerTime } from "../../io/server-time.ts";
import { isClockSynchronised } from "../../io/system/libc-clock.ts";
import type { Check } from "./check.ts";
import { type Finding, failed, ok, skipped, warning } from "./finding.ts";
import type { Scene } from "./scene.ts";

/** A clock that is set by NTP is right to a fraction of a second; what is farther off is set by nobody. */
const MAX_OFFSET_MS = 10_000;

/**
 * Whether this machine's clock agrees with the server's, by what the server says of it. A clock that is so wrong that no
 * certificate seems valid is compared all the same; where no server tells, the kernel knows whether anything sets it.
 */
export const clockCheck: Check = {
  name: "clock",
  doing: "comparing clocks",
  async run(scene) {
    const told = (await scene.talks).flatMap(({ talk }): ServerTime[] => {
      if (talk.stage !== "greeted" || talk.clockOffsetMs === undefined) return [];
      return [{ offsetMs: talk.clockOffsetMs, rttMs: talk.rttMs }];
    });
    // The quickest answer is the most exact one.
    const [best] = told.sort((a, b) => a.rttMs - b.rttMs);
    if (best !== undefined) return [judgeOffset(best)];
    const time = (await areDatesInDoubt(scene)) ? await askAnyServer(scene) : undefined;
    return [time === undefined ? judgeUntold(isClockSynchronised(), scene.dials) : judgeDoubt(time)];
  },
};

export function judgeOffset({ offsetMs, rttMs }: ServerTime): Finding {
  const apart = Math.max(0, Math.abs(offsetMs) - rttMs / 2);
  if (apart < MAX_OFFSET_MS)
    return ok(`the server's clock is the same to ${Math.max(0.1, apart / 1_000).toFixed(1)} s`);
  return warning("clock-skew", `${difference(offsetMs)}: one of them is wrong`, ...SET);
}

/** Beside certificates that seem to be of another time. */
export function judgeDoubt({ offsetMs }: ServerTime): Finding {
  if (Math.abs(offsetMs) < MAX_OFFSET_MS) return ok("the server's clock is the same: the certificates are out of date");
  return failed("clock-wrong", `${difference(offsetMs)}, and the certificates are of the server's time`, ...SET);
}

/** `isSet`: whether NTP sets this clock, undefined where nobody tells. */
export function judgeUntold(isSet: boolean | undefined, dials: boolean): Finding {
  const unasked = dials ? "the server did not tell its time, and " : "";
  if (isSet === undefined) return skipped(`because ${unasked}this system does not say whether anything sets its clock`);
  if (isSet) return ok("the kernel says that NTP keeps the clock right");
  return warning("clock-not-set", `${unasked}nothing sets this machine's clock, so the kernel says`, ...SET);
}

/** Nothing but dates is wrong with this node's certificates, or with a server's. */
async function areDatesInDoubt(scene: Scene): Promise<boolean> {
  const { problems } = await scene.credentials;
  if (problems.length > 0) return problems.every(({ details }) => OUT_OF_DATE.has(String(details.reason)));
  const talks = (await scene.talks).map(({ talk }) => talk);
  return talks.some((talk) => talk.stage === "no-tls" && OUT_OF_DATE.has(String(talk.error.details.code)));
}

const OUT_OF_DATE = new Set(["expired", "not-yet-valid", "ca-expired", "CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID"]);

async function askAnyServer({ config, talks, signal }: Scene): Promise<ServerTime | undefined> {
  const { tcp, tls } = config;
  // Neither a proxy nor a WebSocket is worth a second way of dialling.
  if (tcp.proxy !== undefined || tcp.transport !== "tcp") return undefined;
  const files = [tls.ca_cert, tls.cert, tls.key].map((path) => readFile(path, "utf8"));
  const [ca = "", cert = "", key = ""] = await Promise.all(files);
  const asked = (await talks).map(({ named: { host, port }, address: { address } }) => {
    const serverName = tls.server_name ?? host;
    const node = `ut ${buildInfo.version} check`;
    return askServerTime({ address, port, serverName, identity: { ca, cert, key }, node, signal });
  });
  return (await Promise.all(asked)).find((time) => time !== undefined);
}

const SET = ["sudo timedatectl set-ntp true", "on macOS: sudo sntp -sS time.apple.com"];

function difference(offsetMs: number): string {
  return `the clock here is ${span(Math.abs(offsetMs))} ${offsetMs > 0 ? "behind" : "ahead of"} the server's`;
}

function span(ms: number): string {
  const seconds = Math.round(ms / 1_000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} minutes`;
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} hours` : `${Math.round(seconds / 86_400)} days`;
}

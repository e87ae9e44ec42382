import type { Config } from "../../config/schema.ts";
import { type CongestionChoices, congestionChoices } from "../../io/system/kernel-settings.ts";
import type { Check } from "./check.ts";
import { type Finding, failed, ok, skipped, warning } from "./finding.ts";

const ALLOW = "net.ipv4.tcp_allowed_congestion_control";

/** Whether lanes may use BBR, which is what survives loss. */
export const congestionCheck: Check = {
  name: "congestion",
  doing: "asking the kernel for BBR",
  run: async ({ config }) => judgeCongestion(config.tcp.congestion, congestionChoices()),
};

/** `choices`: undefined where the system offers none. */
export function judgeCongestion(
  wanted: Config["tcp"]["congestion"],
  choices: CongestionChoices | undefined,
): Finding[] {
  if (wanted === "system") return [];
  if (choices === undefined) return [skipped("because only Linux lets a program choose its congestion control")];
  const { allowed, available } = choices;
  const missing = (wanted === "auto" ? ["cubic", "bbr"] : [wanted]).find((one) => !allowed.includes(one));
  if (missing === undefined) return [ok(`tcp.congestion: ${wanted} has what it needs`)];
  // A fixed choice that is refused leaves the lanes as they are, too, but it is not what was asked for.
  const trouble = wanted === "auto" ? warning : failed;
  const list = [...allowed, missing].join(" ");
  const allow = `sysctl -w ${ALLOW}='${list}'`;
  const keep = `echo "${ALLOW} = ${list}" | sudo tee -a /etc/sysctl.d/90-ut.conf`;
  if (available.includes(missing)) {
    const text = `the kernel has ${missing}, and does not allow it to programs: ${whatThen(missing)}`;
    return [trouble(`${missing}-not-allowed`, text, `sudo ${allow}`, keep)];
  }
  const load = `sudo sh -c "modprobe tcp_${missing} && ${allow}"`;
  const keepLoaded = `echo tcp_${missing} | sudo tee /etc/modules-load.d/ut.conf`;
  return [trouble(`no-${missing}`, `the kernel has no ${missing}: ${whatThen(missing)}`, load, keepLoaded, keep)];
}

function whatThen(missing: string): string {
  return missing === "bbr" ? "lanes collapse where packets are lost" : "lanes stay as the system has set them";
}

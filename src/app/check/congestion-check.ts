import { congestionChoices } from "../../io/kernel-settings.ts";
import type { Check } from "./check.ts";
import { failed, ok, skipped, warning } from "./finding.ts";

const ALLOW = "net.ipv4.tcp_allowed_congestion_control";

/** Whether lanes may use BBR, which is what survives loss. */
export const congestionCheck: Check = {
  name: "congestion",
  doing: "asking the kernel for BBR",
  async run({ config }) {
    const wanted = config.tcp.congestion;
    if (wanted === "system") return [];
    const choices = congestionChoices();
    if (choices === undefined) return [skipped("because only Linux lets a program choose its congestion control")];
    const missing = (wanted === "auto" ? ["cubic", "bbr"] : [wanted]).find((one) => !choices.allowed.includes(one));
    if (missing === undefined) return [ok(`tcp.congestion: ${wanted} has what it needs`)];
    // A fixed choice that is refused leaves the lanes as they are, too, but it is not what was asked for.
    const trouble = wanted === "auto" ? warning : failed;
    const allow = `sudo sysctl -w ${ALLOW}='${[...choices.allowed, missing].join(" ")}'`;
    const keep = `echo "${ALLOW} = ${[...choices.allowed, missing].join(" ")}" | sudo tee /etc/sysctl.d/90-ut.conf`;
    if (choices.available.includes(missing))
      return [
        trouble(
          `${missing}-not-allowed`,
          `the kernel has ${missing}, and does not allow it to programs: ${whatThen(missing)}`,
          allow,
          keep,
        ),
      ];
    return [
      trouble(
        `no-${missing}`,
        `the kernel has no ${missing}: ${whatThen(missing)}`,
        `sudo modprobe tcp_${missing} && ${allow}`,
        `echo tcp_${missing} | sudo tee /etc/modules-load.d/ut.conf; ${keep}`,
      ),
    ];
  },
};

function whatThen(missing: string): string {
  return missing === "bbr" ? "lanes collapse where packets are lost" : "lanes stay as the system has set them";
}

import { join } from "node:path";
import { MARKER, type ServicePlace, type ServicePlan, type ServiceSpec } from "./plan.ts";

/** Where the agent of `name` goes, and what makes launchd know it. */
export function launchdPlan(name: string, { uid, home }: ServicePlace): ServicePlan {
  const path = join(home, "Library/LaunchAgents", `${labelOf(name)}.plist`);
  const bootout = ["launchctl", "bootout", `gui/${uid}/${labelOf(name)}`];
  return {
    path,
    others: [],
    makesFolder: true,
    start: [["launchctl", "bootstrap", `gui/${uid}`, path]],
    replace: [bootout],
    stop: [bootout],
    forget: [],
    hints: [`its log: tail -F ${logFile(name, home)}`],
  };
}

/**
 * The property list of an agent of the user who installs it: launchd.plist(5). It runs from login on, reads what the
 * user can read, and writes its log below `~/Library/Logs`.
 */
export function launchdAgent({ name, binary, configPath }: ServiceSpec, home: string): string {
  const log = logFile(name, home);
  const entries: readonly [string, string][] = [
    ["Label", string(labelOf(name))],
    ["ProgramArguments", array([binary, "-config", configPath])],
    ["RunAtLoad", "<true/>"],
    ["KeepAlive", "<true/>"],
    // Seconds between two starts, at least.
    ["ThrottleInterval", integer(10)],
    // Anything less is slowed down in favour of what is on the screen, and datagrams do not wait.
    ["ProcessType", string("Interactive")],
    // It drains for up to 2 s.
    ["ExitTimeOut", integer(10)],
    // launchd's own limit is 256 open files.
    ["SoftResourceLimits", `<dict>\n    <key>NumberOfFiles</key>\n    ${integer(8192)}\n  </dict>`],
    ["Umask", integer(0o077)],
    ["StandardOutPath", string(log)],
    ["StandardErrorPath", string(log)],
  ];
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- ${MARKER}. "ut service uninstall" removes it. -->
<plist version="1.0">
<dict>
${entries.map(([key, value]) => `  <key>${key}</key>\n  ${value}`).join("\n")}
</dict>
</plist>
`;
}

/** Nobody's domain: the name must only be unique among this user's agents. */
function labelOf(name: string): string {
  return `local.${name}`;
}

function logFile(name: string, home: string): string {
  return join(home, "Library/Logs", `${name}.log`);
}

function string(text: string): string {
  return `<string>${text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")}</string>`;
}

function integer(value: number): string {
  return `<integer>${value}</integer>`;
}

function array(words: readonly string[]): string {
  return `<array>\n${words.map((text) => `    ${string(text)}`).join("\n")}\n  </array>`;
}

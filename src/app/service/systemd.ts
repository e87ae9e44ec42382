import { join } from "node:path";
import { needsLowPort, rereadsConfig } from "./config-needs.ts";
import { MARKER, type ServicePlace, type ServicePlan, type ServiceSpec } from "./plan.ts";

/** Where the unit of `name` goes, and what makes systemd know it. */
export function systemdPlan(name: string, { scope, home }: ServicePlace): ServicePlan {
  const user = scope === "user";
  const systemctl = user ? ["systemctl", "--user"] : ["systemctl"];
  const folder = user ? join(home, ".config/systemd/user") : "/etc/systemd/system";
  return {
    path: join(folder, `${name}.service`),
    // systemd.unit(5) "Unit File Load Path": what comes with the system has less weight than what is written here.
    others: ["/usr/local/lib", "/usr/lib", "/lib"].map((lib) => `${lib}/systemd/${scope}/${name}.service`),
    makesFolder: user,
    start: [
      [...systemctl, "daemon-reload"],
      [...systemctl, "enable", name],
      // Not start: where it runs already, it runs with the old file.
      [...systemctl, "restart", name],
    ],
    replace: [],
    stop: [[...systemctl, "disable", "--now", name]],
    forget: [[...systemctl, "daemon-reload"]],
    hints: [
      `its log: journalctl ${user ? "--user " : ""}-u ${name} -f -o cat`,
      ...(user ? ['"loginctl enable-linger" lets it run while you are not logged in'] : []),
    ],
  };
}

/**
 * The unit of a service: systemd.unit(5), systemd.service(5), systemd.exec(5). For systemd 250 (2021) and later.
 *
 * A system service runs as a user of its own that exists only while it runs (DynamicUser=); where a user of its name
 * exists, it is that one, which routing rules by user need (docs/tunnel.md). Certificates and key are read by root and
 * handed over, so nobody else has to be able to read them.
 */
export function systemdUnit(spec: ServiceSpec, scope: ServicePlace["scope"]): string {
  const isSystem = scope === "system";
  const sections = [
    `# ${MARKER}. "ut service uninstall" removes it; put changes of your own into a drop-in
# ("systemctl edit ${spec.name}"), which survives both.`,
    unitSection(spec, isSystem),
    serviceSection(spec, isSystem),
    ...(isSystem ? [identitySection(spec), systemSandbox(spec)] : []),
    SANDBOX,
    `[Install]\nWantedBy=${isSystem ? "multi-user.target" : "default.target"}`,
  ];
  return `${sections.join("\n\n")}\n`;
}

/** The user manager has no network-online.target. */
function unitSection({ config }: ServiceSpec, isSystem: boolean): string {
  const network = ["Wants=network-online.target", "After=network-online.target nss-lookup.target"];
  return lines([
    "[Unit]",
    `Description=ut ${config.roles.join(", ")}: UDP over parallel TLS lanes`,
    ...(isSystem ? network : []),
    "# However often it fails, it is started again: the clock or an address may come late.",
    "StartLimitIntervalSec=0",
  ]);
}

function serviceSection({ binary, configPath, config, isConfigOpen }: ServiceSpec, isSystem: boolean): string {
  const file = isConfigOpen || !isSystem ? word(configPath) : "%d/ut.yaml";
  const isReread = rereadsConfig(config) && file !== "%d/ut.yaml";
  return lines([
    "[Service]",
    "Type=notify",
    "NotifyAccess=main",
    `ExecStart=${program(binary)} -config ${file}${isSystem ? " --credentials %d" : ""}`,
    ...(isReread ? ["ExecReload=/bin/kill -HUP $MAINPID"] : []),
    "# Its event loop tells every 15 s that it turns; one that hangs is ended and started again.",
    "WatchdogSec=30",
    "# It drains for up to 2 s.",
    "TimeoutStopSec=10",
    "Restart=always",
    "RestartSec=5",
    "# A config that is wrong stays wrong.",
    "RestartPreventExitStatus=2",
    "LimitNOFILE=65536",
  ]);
}

function identitySection({ name, configPath, config, isConfigOpen }: ServiceSpec): string {
  const { ca_cert, cert, key } = config.tls;
  return lines([
    "# A user of its own, for as long as it runs; an existing one of this name is taken instead.",
    `User=${name}`,
    "DynamicUser=yes",
    `StateDirectory=${name}`,
    "# Read by root at every start: the user above need not be able to.",
    ...(isConfigOpen ? [] : [`LoadCredential=ut.yaml:${escapeSpecifiers(configPath)}`]),
    `LoadCredential=tls.ca_cert:${escapeSpecifiers(ca_cert)}`,
    `LoadCredential=tls.cert:${escapeSpecifiers(cert)}`,
    `LoadCredential=tls.key:${escapeSpecifiers(key)}`,
  ]);
}

/** What only the system's manager can set up: it takes privileges, or a mount namespace. */
function systemSandbox({ config }: ServiceSpec): string {
  const capabilities = needsLowPort(config) ? "CAP_NET_BIND_SERVICE" : "";
  return lines([
    `CapabilityBoundingSet=${capabilities}`,
    ...(capabilities === "" ? [] : [`AmbientCapabilities=${capabilities}`]),
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectProc=invisible",
    "RemoveIPC=yes",
  ]);
}

/**
 * AF_NETLINK lists the machine's addresses, AF_UNIX reaches systemd. What is allowed otherwise is what services need
 * and no more (`systemd-analyze syscall-filter @system-service`).
 */
const SANDBOX = `NoNewPrivileges=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
UMask=0077
# Not MemoryDenyWriteExecute=: ut compiles JavaScript to machine code while it runs.`;

/** What a command line runs. Variables are not looked for in there, and no path with a quote or a backslash is taken. */
function program(path: string): string {
  return quoted(escapeSpecifiers(path));
}

/** Another word of a command line: systemd.service(5) "Command lines", with nothing of it expanded. */
function word(text: string): string {
  return quoted(escapeSpecifiers(text).replaceAll("$", "$$$$"));
}

function quoted(text: string): string {
  return /^[\w./%$@:+,=-]+$/.test(text) ? text : `"${text.replace(/["\\]/g, "\\$&")}"`;
}

function escapeSpecifiers(text: string): string {
  return text.replaceAll("%", "%%");
}

function lines(texts: readonly string[]): string {
  return texts.join("\n");
}

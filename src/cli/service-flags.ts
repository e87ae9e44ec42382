import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { Hands } from "../app/service/place-service.ts";
import { INITS, type Init, type ServicePlace, type ServiceSpec } from "../app/service/plan.ts";
import { isOpenToServices } from "../app/service/visibility.ts";
import { loadConfig } from "../config/load.ts";
import { nearest } from "../config/nearest.ts";
import { UtError } from "../core/error.ts";
import { loadCredentials } from "../io/pki/credentials.ts";
import { type ParsedFlags, stringFlag } from "./command.ts";

export const SERVICE_FLAGS = {
  config: { type: "string", short: "c" },
  init: { type: "string" },
  name: { type: "string" },
  binary: { type: "string" },
  user: { type: "boolean" },
  "dry-run": { type: "boolean" },
} as const;

const DEFAULT_BINARY = "/usr/local/bin/ut";

/** What `ut service` touches of the machine; tests replace it. */
export interface ServiceHost {
  readonly platform: NodeJS.Platform;
  readonly uid: number;
  readonly home: string;
  /** Of this program when it is one file, else undefined. */
  readonly binary: string | undefined;
  readonly hasSystemd: boolean;
  readonly run: Hands["run"];
}

/** Throws `usage.*` for one that is not known, and where this machine has none of them. */
export function readInit(named: string | undefined, { platform, hasSystemd }: ServiceHost): Init {
  if (named !== undefined) {
    const init = INITS.find((one) => one === named);
    if (init !== undefined) return init;
    const near = nearest(named, INITS);
    throw new UtError(
      "usage.bad-value",
      `Cannot use --init ${named}: expected ${INITS.join(" or ")}${near === undefined ? "" : `; did you mean ${near}`}
Next: let ${named} run "ut -config FILE"; it stays in the foreground, logs to stdout and drains on SIGTERM`,
    );
  }
  if (platform === "darwin") return "launchd";
  if (hasSystemd) return "systemd";
  throw new UtError(
    "usage.bad-flag",
    `Cannot tell what starts programs here: systemd does not run (no /run/systemd/system)
Next: let your init system run "ut -config FILE", or give --init ${INITS.join(" or --init ")} where you only want the file`,
  );
}

/** What systemd takes as the name of a user, too: systemd.exec(5) "User=". */
export function readName(name = "ut"): string {
  if (name === "root")
    throw new UtError("usage.bad-value", "Cannot use --name root: the service would run as the user of that name");
  if (/^[a-z_][a-z0-9_-]{0,30}$/.test(name)) return name;
  throw new UtError(
    "usage.bad-value",
    `Cannot use --name ${JSON.stringify(name)}: expected up to 31 lower-case letters, digits, "-" and "_"`,
  );
}

/** What `-config` and `--binary` say. Throws `config.*` for a file that is no config. */
export async function readSpec(flags: ParsedFlags, host: ServiceHost, name: string, init: Init): Promise<ServiceSpec> {
  const file = stringFlag(flags, "config");
  if (file === undefined)
    throw new UtError("usage.bad-flag", "Cannot tell what the service runs: expected -config FILE");
  const config = loadConfig(file);
  const configPath = resolve(file);
  const binary = resolve(stringFlag(flags, "binary") ?? host.binary ?? DEFAULT_BINARY);
  const { ca_cert, cert, key } = config.tls;
  const odd = [configPath, binary, ca_cert, cert, key].find((path) => /\p{Cc}/u.test(path));
  if (odd !== undefined)
    throw new UtError("usage.bad-value", `Cannot use the path ${JSON.stringify(odd)}: no service file can hold it`);
  if (init === "systemd" && /["'\\]/.test(binary))
    throw new UtError(
      "usage.bad-value",
      `Cannot start ${binary}: systemd runs no program with a quote or a backslash in its path\nNext: install it as ${DEFAULT_BINARY}`,
    );
  return { name, binary, configPath, config, isConfigOpen: await isOpenToServices(configPath, "read") };
}

/** Throws what would only show when the service fails to start; resolves to what is unwise. */
export async function expectUsable(spec: ServiceSpec, init: Init, place: ServicePlace): Promise<string[]> {
  const { binary, config } = spec;
  const { ca_cert: ca, cert, key } = config.tls;
  const needs = [...new Set(config.roles.map((role) => (role === "server" ? "serverAuth" : "clientAuth")))] as const;
  const { warnings } = await loadCredentials({ ca, cert, key }, { needs });
  if (!existsSync(binary))
    throw new UtError(
      "io.file",
      `Cannot start ${binary}: it does not exist\nNext: give the ut to start by --binary FILE`,
    );
  if (init === "systemd" && place.scope === "system" && !(await isOpenToServices(binary, "run")))
    throw new UtError(
      "io.file",
      `Cannot start ${binary}: a service has a user of its own and sees no home folder
Next: install -m 755 ${binary} ${DEFAULT_BINARY} and then ${DEFAULT_BINARY} service install …`,
    );
  return warnings.map(({ cause, remedy }) => `${cause}; ${remedy}`);
}

/** Throws for a user whose service it cannot be. */
export function expectRights({ uid }: ServiceHost, init: Init, { scope }: ServicePlace): void {
  if (scope === "system" && uid !== 0)
    throw new UtError(
      "usage.bad-value",
      "Cannot install or remove a service of the machine as this user\nNext: run it with sudo, or give --user for a service of your own",
    );
  if (init === "launchd" && uid === 0)
    throw new UtError(
      "usage.bad-value",
      "Cannot install or remove a launchd agent as root\nNext: run it as the user whose agent it is",
    );
}

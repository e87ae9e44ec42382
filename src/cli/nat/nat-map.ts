import { listGatewayMappings, removeGatewayMappings } from "../../app/nat/gateway-errands.ts";
import { openPortMapping } from "../../app/nat/port-mapping.ts";
import { UtError } from "../../core/error.ts";
import { PORT_MAP_PROTOCOLS } from "../../core/portmap/clients.ts";
import type { PortMapProtocol, Transport } from "../../core/portmap/protocol.ts";
import { mappingOwner } from "../../io/mapping-owner.ts";
import { type DefaultGateway, defaultGateway } from "../../io/system/default-gateway.ts";
import {
  type Command,
  type FlagSpec,
  integerFlag,
  type ParsedFlags,
  parseFlags,
  stringFlag,
  type Terminal,
} from "../command.ts";
import { addMapping } from "./nat-map-add.ts";
import { listMappings } from "./nat-map-list.ts";
import { removeMapping } from "./nat-map-remove.ts";

/** RFC 6886 §3.3 recommends it. */
const DEFAULT_LEASE_SECONDS = 7_200;

const HELP = `ut nat map                   what the gateway says that it forwards
ut nat map add PORT[/tcp]    map a port of this machine and keep it until Ctrl-C, which removes it
ut nat map remove PORT[/tcp] remove the mappings of a port of this machine

Asks the default gateway by PCP, NAT-PMP and UPnP, whichever it speaks. PORT is UDP unless it ends in /tcp.

  --external PORT   add: the port that the world sees, if it is free (the same as PORT)
  --lease SECONDS   add: for how long it is asked each time, 10 to 86400 (${DEFAULT_LEASE_SECONDS}); renewed at half of it
  --protocol NAME   pcp, nat-pmp or upnp, and no other
  --once            add: do not renew: leave the mapping on the gateway until its lease ends
  --json            one JSON object on stdout; add: one in a line for each thing that happens

Only UPnP can list. PCP lets nobody change a mapping but who made it: for ut that is this user on this machine, by a
secret in $XDG_STATE_HOME/ut. After kill -9 a mapping stays until its lease ends, or until the same port is added or removed.`;

/** What the subcommands need of this machine; tests replace it. */
export interface MapSurroundings {
  readonly defaultGateway: typeof defaultGateway;
  readonly mappingOwner: typeof mappingOwner;
  readonly openPortMapping: typeof openPortMapping;
  readonly listGatewayMappings: typeof listGatewayMappings;
  readonly removeGatewayMappings: typeof removeGatewayMappings;
}

/** One call of `ut nat map …`, as its flags and this machine have it. */
export interface MapCall {
  readonly terminal: Terminal;
  readonly json: boolean;
  readonly gateway: DefaultGateway;
  readonly protocols: readonly PortMapProtocol[];
  readonly surroundings: MapSurroundings;
}

/** A call about one port of this machine. */
export interface PortCall extends MapCall {
  readonly transport: Transport;
  readonly port: number;
}

export interface AddCall extends PortCall {
  readonly externalPort: number;
  readonly leaseSeconds: number;
  readonly once: boolean;
}

const COMMON: Record<string, FlagSpec> = { json: { type: "boolean" } };
const PROTOCOL: Record<string, FlagSpec> = { ...COMMON, protocol: { type: "string" } };
const ADD: Record<string, FlagSpec> = {
  ...PROTOCOL,
  external: { type: "string" },
  lease: { type: "string" },
  once: { type: "boolean" },
};

/** `ut nat map …`; throws `usage.*`, and `port-map-unavailable` where the gateway does not do it. */
export function natMapCommand(surroundings: MapSurroundings): Command {
  return {
    name: "map",
    summary: "port mappings of the gateway",
    help: HELP,
    async run(argv, terminal) {
      const [name, ...rest] = argv;
      if (name === "add") {
        const flags = parseFlags(rest, ADD);
        const wish = {
          ...readPort("add", flags),
          externalPort: integerFlag(flags, "external", { min: 1, max: 65_535 }),
          leaseSeconds: integerFlag(flags, "lease", { min: 10, max: 86_400 }) ?? DEFAULT_LEASE_SECONDS,
          once: flags.values.once === true,
        };
        const externalPort = wish.externalPort ?? wish.port;
        return await addMapping({ ...wish, externalPort, ...(await readCall(flags, terminal, surroundings)) });
      }
      if (name === "remove") {
        const flags = parseFlags(rest, PROTOCOL);
        const port = readPort("remove", flags);
        return await removeMapping({ ...port, ...(await readCall(flags, terminal, surroundings)) });
      }
      const flags = parseFlags(argv, COMMON);
      const [stray] = flags.positionals;
      if (stray === undefined) return await listMappings(await readCall(flags, terminal, surroundings));
      const advice = /^\d/.test(stray) ? `add ${stray}, or remove ${stray}` : "add, remove, or nothing to list";
      throw new UtError("usage.unknown-command", `Cannot run "ut nat map ${stray}": expected ${advice}`);
    },
  };
}

export const natMap: Command = natMapCommand({
  defaultGateway,
  mappingOwner,
  openPortMapping,
  listGatewayMappings,
  removeGatewayMappings,
});

async function readCall(flags: ParsedFlags, terminal: Terminal, surroundings: MapSurroundings): Promise<MapCall> {
  const protocols = readProtocols(flags);
  const gateway = await surroundings.defaultGateway();
  if (gateway === undefined)
    throw new UtError(
      "port-map-unavailable",
      'Cannot ask for port mappings: this machine has no default gateway for IPv4; look at "ip route show default"',
    );
  return { terminal, json: flags.values.json === true, gateway, protocols, surroundings };
}

function readProtocols(flags: ParsedFlags): readonly PortMapProtocol[] {
  const name = stringFlag(flags, "protocol");
  if (name === undefined) return PORT_MAP_PROTOCOLS;
  const protocol = PORT_MAP_PROTOCOLS.find((one) => one === name);
  if (protocol !== undefined) return [protocol];
  throw new UtError("usage.bad-value", `Cannot use --protocol ${name}: expected ${PORT_MAP_PROTOCOLS.join(", ")}`);
}

function readPort(subcommand: string, flags: ParsedFlags): { transport: Transport; port: number } {
  const [text, ...more] = flags.positionals;
  const expected = "expected one port of this machine, 1 to 65535, such as 51820 or 8443/tcp";
  if (text === undefined || more.length > 0)
    throw new UtError("usage.bad-value", `Cannot run "ut nat map ${subcommand}": ${expected}`);
  const [, digits, transport = "udp"] = /^(\d{1,5})(?:\/(udp|tcp))?$/.exec(text) ?? [];
  const port = Number(digits);
  if (!(port >= 1 && port <= 65_535)) throw new UtError("usage.bad-value", `Cannot use "${text}": ${expected}`);
  return { transport: transport === "tcp" ? "tcp" : "udp", port };
}

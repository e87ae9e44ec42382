import type { NatSurvey, SurveyedGateway } from "../../app/nat/nat-survey.ts";
import type { NatReport } from "../../core/nat/nat-report.ts";
import type { NatLayers } from "../../core/nat/nat-type.ts";
import { PROTOCOL_NAMES } from "./nat-map-view.ts";

const NOT_TOLD = "could not be told";

/** What was found out beside the verdict, one line each. */
export function factLines(survey: NatSurvey): string[] {
  const facts = survey.mapped === null ? [] : natFacts(survey);
  const all = [...facts, ["gateway", gatewayFact(survey.gateway)]] as const;
  const width = Math.max(...all.map(([name]) => name?.length ?? 0));
  return all.map(([name = "", text]) => `${name.padEnd(width)}  ${text}`);
}

function natFacts(survey: NatSurvey): (readonly [string, string])[] {
  const { mapping, filtering, ports, pooling, hairpin, translated } = survey;
  const always: (readonly [string, string])[] = [
    ["mapping", mapping ?? NOT_TOLD],
    ["filtering", filtering ?? NOT_TOLD],
  ];
  if (translated === false) return always;
  return [
    ...always,
    ["ports", portFact(ports)],
    ["address", pooling === null ? NOT_TOLD : POOLINGS[pooling]],
    ["hairpin", hairpinFact(hairpin)],
    ["NATs", layersFact(survey)],
  ];
}

function portFact(ports: NatReport["ports"]): string {
  switch (ports?.kind) {
    case undefined:
      return NOT_TOLD;
    case "preserved":
      return "the outside port is the inside one, if it is free";
    case "random":
      return "random";
    case "sequential":
      return `in sequence: each new one is the last one ${ports.delta > 0 ? "+" : "−"} ${Math.abs(ports.delta)}`;
    default:
      return ports satisfies never;
  }
}

function hairpinFact(hairpin: boolean | null): string {
  if (hairpin === null) return NOT_TOLD;
  return hairpin ? "yes: hosts behind this NAT meet at its outside address" : "no";
}

function layersFact({ layers, gateway }: NatSurvey): string {
  if (layers !== null) return LAYERS[layers];
  const told = gateway?.externalAddress;
  return told ? `one or more: the gateway's own address outside is ${told}` : "one or more";
}

const POOLINGS = {
  paired: "all ports of this machine come out at one address",
  arbitrary: "ports of this machine come out at several addresses",
} as const;

const LAYERS: Readonly<Record<NatLayers, string>> = {
  none: "none",
  one: "one: the gateway's own address outside is the one that servers see",
  carrier: "the carrier's: this machine's address is one of the carriers' shared ones",
  "two-or-more": "two or more: the gateway's own address outside is not a public one",
};

function gatewayFact(gateway: SurveyedGateway | null): string {
  if (gateway === null) return "none on this way out";
  const { address, protocols } = gateway;
  if (protocols === null) return `${address}, which could not be asked`;
  if (protocols.length === 0) return `${address}, which answers neither PCP nor NAT-PMP nor UPnP: it maps no ports`;
  const names = protocols.map((protocol) => PROTOCOL_NAMES[protocol]);
  return `${address}, which speaks ${names.join(", ")}: "ut nat map add PORT" may open a port to everybody`;
}

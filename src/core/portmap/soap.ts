import { escapeXml, findElement, parseXml } from "./xml.ts";

/** What a call takes and what it gives, by the names of the service's description. */
export type SoapValues = Readonly<Record<string, string | number>>;

export type SoapAnswer =
  | { readonly ok: true; readonly values: ReadonlyMap<string, string> }
  /** The gateway refused: UPnPError of UDA §3.2.2, codes of the service (IGD WANIPConnection §2.5). */
  | { readonly ok: false; readonly kind: "fault"; readonly code: number; readonly description: string }
  /** An HTTP status without an answer in it. */
  | { readonly ok: false; readonly kind: "http-status"; readonly status: number }
  | { readonly ok: false; readonly kind: "bad-answer" };

/** UPnP error codes with a meaning here; by name in messages. */
export const UPNP_ERRORS: Readonly<Record<number, string>> = {
  401: "InvalidAction",
  402: "InvalidArgs",
  403: "OutOfSync",
  501: "ActionFailed",
  602: "OptionalActionNotImplemented",
  606: "ActionNotAuthorized",
  713: "SpecifiedArrayIndexInvalid",
  714: "NoSuchEntryInArray",
  715: "WildCardNotPermittedInSrcIP",
  716: "WildCardNotPermittedInExtPort",
  718: "ConflictInMappingEntry",
  724: "SamePortValuesRequired",
  725: "OnlyPermanentLeasesSupported",
  726: "RemoteHostOnlySupportsWildcard",
  727: "ExternalPortOnlySupportsWildcard",
  728: "NoPortMapsAvailable",
  729: "ConflictWithOtherMechanisms",
  732: "WildCardNotPermittedInIntPort",
};

const MAX_DESCRIPTION_CHARS = 80;

/** Headers and body of a call (UDA §3.2.1), arguments in the order given: some gateways read them by place. */
export function encodeCall(
  service: string,
  action: string,
  values: SoapValues,
): { headers: Record<string, string>; body: string } {
  const inside = Object.entries(values).map(([name, value]) => `<${name}>${escapeXml(String(value))}</${name}>`);
  const body = `<?xml version="1.0"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body><u:${action} xmlns:u="${service}">${inside.join("")}</u:${action}></s:Body></s:Envelope>
`;
  return { headers: { "Content-Type": 'text/xml; charset="utf-8"', SOAPAction: `"${service}#${action}"` }, body };
}

/** Reads the answer to a call of `action`. A fault counts with whatever status it comes, a success with 200 only. */
export function decodeAnswer(action: string, status: number, body: string): SoapAnswer {
  const xml = parseXml(body);
  const fault = xml.ok ? findElement(xml.root, "UPnPError") : undefined;
  if (fault !== undefined) {
    const code = Number(findElement(fault, "errorCode")?.text);
    // What stands there is shown to people: one short line without anything that a terminal would obey.
    const description = (findElement(fault, "errorDescription")?.text ?? "").replace(/[^ -~]+/g, " ");
    if (Number.isInteger(code) && code > 0 && code < 1_000)
      return { ok: false, kind: "fault", code, description: description.slice(0, MAX_DESCRIPTION_CHARS) };
  }
  if (status !== 200) return { ok: false, kind: "http-status", status };
  const response = xml.ok ? findElement(xml.root, `${action}Response`) : undefined;
  if (response === undefined) return { ok: false, kind: "bad-answer" };
  return { ok: true, values: new Map(response.children.map(({ name, text }) => [name, text])) };
}

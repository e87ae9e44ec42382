import { type GatewayUrl, parseGatewayUrl } from "./gateway-url.ts";
import { findElement, findElements, parseXml, type XmlElement, type XmlProblem } from "./xml.ts";

/** A service of the gateway that maps ports. */
export interface WanService {
  /** As the gateway names it; calls must name it the same. */
  readonly type: string;
  /** 2 has AddAnyPortMapping. */
  readonly version: number;
  readonly control: GatewayUrl;
}

export type DescriptionResult =
  /** The best first: those that need nothing but an IP connection, the newer version, the document's order. */
  | { readonly ok: true; readonly services: readonly WanService[] }
  | { readonly ok: false; readonly kind: "no-wan-service" | "leaves-gateway" | XmlProblem };

/** A gateway has one for each of its WAN connections; nobody has many. */
export const MAX_SERVICES = 8;

const WAN_SERVICE = /^urn:schemas-upnp-org:service:(WANIPConnection|WANPPPConnection):(\d{1,3})$/;

/**
 * Reads the description of a UPnP device (UDA §2.3) for the services that map ports, wherever in its tree of devices
 * they stand. A control URL that leads away from the gateway drops its service.
 *
 * @param location where the description came from: what relative URLs are relative to, unless URLBase says otherwise
 */
export function parseDescription(text: string, gateway: string, location: GatewayUrl): DescriptionResult {
  const xml = parseXml(text);
  if (!xml.ok) return xml;
  const base = baseOf(xml.root, gateway, location);
  const named = findElements(xml.root, "service").filter((service) => WAN_SERVICE.test(textOf(service, "serviceType")));
  const services = named.flatMap((service) => serviceOf(service, gateway, base)).slice(0, MAX_SERVICES);
  if (services.length > 0) return { ok: true, services: services.sort((a, b) => rank(b) - rank(a)) };
  return { ok: false, kind: named.length > 0 ? "leaves-gateway" : "no-wan-service" };
}

/**
 * URLBase (UDA 1.0; 1.1 has given it up). One that leads elsewhere is ignored: old routers tell an address that they no
 * longer have.
 */
function baseOf(root: XmlElement, gateway: string, location: GatewayUrl): GatewayUrl {
  const told = parseGatewayUrl(textOf(root, "URLBase"), gateway);
  return told.ok ? told.url : location;
}

function serviceOf(service: XmlElement, gateway: string, base: GatewayUrl): WanService[] {
  const type = textOf(service, "serviceType");
  const control = parseGatewayUrl(textOf(service, "controlURL"), gateway, base);
  const version = Number(WAN_SERVICE.exec(type)?.[2]);
  return control.ok ? [{ type, version, control: control.url }] : [];
}

function rank({ type, version }: WanService): number {
  return (type.includes("WANIPConnection") ? 1_000 : 0) + version;
}

function textOf(element: XmlElement, name: string): string {
  return findElement(element, name)?.text ?? "";
}

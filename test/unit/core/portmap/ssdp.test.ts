import { describe, expect, test } from "bun:test";
import { decodeSearchAnswer, encodeSearch, MAX_ANSWER_BYTES, SSDP_GROUP } from "../../../../src/core/portmap/ssdp.ts";
import { utf8 } from "../../../bytes.ts";

const IGD = "urn:schemas-upnp-org:device:InternetGatewayDevice:1";

/** As miniupnpd 2.3.1 answers. */
const ANSWER = [
  "HTTP/1.1 200 OK",
  "CACHE-CONTROL: max-age=120",
  `ST: ${IGD}`,
  `USN: uuid:ab04efce-b875-47e3-99ae-bb2125fb899f::${IGD}`,
  "EXT:",
  "SERVER: Debian/6.18.44 UPnP/1.1 MiniUPnPd/2.3.1",
  "LOCATION: http://10.1.0.1:5000/rootDesc.xml",
  'OPT: "http://schemas.upnp.org/upnp/1/0/"; ns=01',
  "BOOTID.UPNP.ORG: 1795242828",
  "",
  "",
].join("\r\n");

const found = { ok: true, target: IGD, location: "http://10.1.0.1:5000/rootDesc.xml" };

describe("a search", () => {
  test("in the group draws answers within a second", () => {
    expect(new TextDecoder().decode(encodeSearch(IGD, SSDP_GROUP))).toBe(
      `M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\nST: ${IGD}\r\n\r\n`,
    );
  });

  test("of one device has no delay to draw", () => {
    expect(new TextDecoder().decode(encodeSearch(IGD, "10.1.0.1"))).toBe(
      `M-SEARCH * HTTP/1.1\r\nHOST: 10.1.0.1:1900\r\nMAN: "ssdp:discover"\r\nST: ${IGD}\r\n\r\n`,
    );
  });
});

describe("an answer", () => {
  test.each([
    ["of miniupnpd", ANSWER],
    ["with names in lower case, without blanks", ANSWER.replace("LOCATION: ", "location:").replace("ST:", "st:")],
    ["with bare line feeds", ANSWER.replaceAll("\r\n", "\n")],
    ["without its empty line", ANSWER.trimEnd()],
    ["of HTTP/1.0", ANSWER.replace("HTTP/1.1", "HTTP/1.0")],
  ])("%s", (_, text) => expect(decodeSearchAnswer(utf8(text))).toEqual(found as never));

  test.each([
    ["an announcement", ANSWER.replace("HTTP/1.1 200 OK", "NOTIFY * HTTP/1.1"), "not-an-answer"],
    ["a search", "M-SEARCH * HTTP/1.1\r\nLOCATION: http://10.1.0.1/\r\n\r\n", "not-an-answer"],
    ["an error", ANSWER.replace("200 OK", "500 Error"), "not-an-answer"],
    ["nothing", "", "not-an-answer"],
    ["no location", ANSWER.replace("LOCATION", "LOCATIONS"), "no-location"],
    ["an empty location", ANSWER.replace("http://10.1.0.1:5000/rootDesc.xml", ""), "no-location"],
    ["length", ANSWER + "a".repeat(MAX_ANSWER_BYTES), "too-long"],
  ])("%s is none", (_, text, kind) => expect(decodeSearchAnswer(utf8(text))).toEqual({ ok: false, kind } as never));
});

import { describe, expect, test } from "bun:test";
import { escapeXml, findElement, findElements, parseXml, XML_LIMITS } from "../../../../src/core/portmap/xml.ts";

const leaf = (name: string, text = "") => ({ name, text, children: [] });

describe("reads", () => {
  test.each([
    ["text", "<a> b </a>", leaf("a", "b")],
    ["an empty element", "<a/>", leaf("a")],
    ["children", "<a>1<b>2</b>3<c/></a>", { name: "a", text: "13", children: [leaf("b", "2"), leaf("c")] }],
    ["names without their prefix", '<s:a xmlns:s="urn:x"><u:b/></s:a>', { ...leaf("a"), children: [leaf("b")] }],
    ["attributes with anything in them", `<a b="1 > 2" c='"' d = 3 e>x</a>`, leaf("a", "x")],
    ["the five entities", "<a>&lt;&gt;&amp;&quot;&apos;</a>", leaf("a", `<>&"'`)],
    ["entities once", "<a>&amp;lt;</a>", leaf("a", "&lt;")],
    ["numeric entities", "<a>&#65;&#x1F600;&#X42;</a>", leaf("a", "A😀B")],
    ["CDATA", "<a>x<![CDATA[<b>&amp;</b>]]>y</a>", leaf("a", "x<b>&amp;</b>y")],
    ["over comments and instructions", "<?xml?><!-- <x> --><a><?php > ?>1<!-- - -->2</a>", leaf("a", "12")],
  ])("%s", (_, text, root) => expect(parseXml(text)).toEqual({ ok: true, root }));
});

describe("forgives", () => {
  test.each([
    ["what stands before and after", "\ufeffjunk <a>1</a> junk <b>", leaf("a", "1")],
    [
      "a bare ampersand",
      "<a>?a=1&b=2&unknown;&#0;&#xD800;&#x110000;</a>",
      leaf("a", "?a=1&b=2&unknown;&#0;&#xD800;&#x110000;"),
    ],
    [
      "names that objects have",
      "<a>&toString;<constructor/></a>",
      { name: "a", text: "&toString;", children: [leaf("constructor")] },
    ],
    ["an end that nobody began", "<a></b>1</a>", leaf("a", "1")],
    [
      "an end that was left out",
      "<a><b>1<c>2</a>",
      { ...leaf("a"), children: [{ name: "b", text: "1", children: [leaf("c", "2")] }] },
    ],
  ])("%s", (_, text, root) => expect(parseXml(text)).toEqual({ ok: true, root }));
});

describe("refuses", () => {
  const laughs = `<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><a>&b;</a>`;
  test.each([
    ["a document type, and the laughs in it", laughs, "doctype"],
    ["one inside", "<a><!ENTITY x SYSTEM 'file:///etc/passwd'></a>", "doctype"],
    ["what never ends", "<a><b>", "cut-off"],
    ["nothing", "", "cut-off"],
    ["half a tag", "<a", "cut-off"],
    ["half a comment", "<a><!-- </a>", "cut-off"],
    ["half a CDATA", "<a><![CDATA[ </a>", "cut-off"],
    ["an open quote", `<a b="></a>`, "syntax"],
    ["a tag without a name", "<a>< b></a>", "syntax"],
    ["depth", "<a>".repeat(XML_LIMITS.depth + 1), "too-deep"],
    ["number", `<a>${"<b/>".repeat(XML_LIMITS.elements)}</a>`, "too-many"],
    ["length", `<a>${" ".repeat(XML_LIMITS.chars)}</a>`, "too-long"],
  ])("%s", (_, text, kind) => expect(parseXml(text)).toEqual({ ok: false, kind } as never));

  test("nothing at the limits", () => {
    const { depth, elements } = XML_LIMITS;
    expect(parseXml("<a>".repeat(depth) + "</a>".repeat(depth)).ok).toBe(true);
    expect(parseXml(`<a>${"<b/>".repeat(elements - 1)}</a>`).ok).toBe(true);
  });
});

// Once the first of these took 0.9 s each, which made ten of them a failure by the runner's own limit.
test.each([
  ["a name", "<", "a"],
  ["quotes", "<a ", `""`],
  ["attributes", "<a", " b=c"],
  ["ends", "<a>", "</b>"],
])("%s without end takes no longer for it", (_, head, piece) => {
  const text = head + piece.repeat((XML_LIMITS.chars - head.length) / piece.length);
  for (let i = 0; i < 10; i++) expect(parseXml(text)).toEqual({ ok: false, kind: "cut-off" });
});

test("elements are found at any depth, in the document's order", () => {
  const xml = parseXml("<r><x><b>1</b></x><b>2<b>3</b></b></r>");
  if (!xml.ok) throw new Error(xml.kind);
  expect(findElements(xml.root, "b").map(({ text }) => text)).toEqual(["1", "2", "3"]);
  expect(findElement(xml.root, "b")?.text).toBe("1");
  expect(findElement(xml.root, "nothing")).toBeUndefined();
});

test("what is escaped is read as it was", () => {
  const text = `</a>&lt;<!-- ]]> "'`;
  expect(parseXml(`<a>${escapeXml(text)}</a>`)).toEqual({ ok: true, root: leaf("a", text) });
});

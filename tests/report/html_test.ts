import { assert, assertEquals, assertMatch } from "@std/assert";
import { parse, type TraceSummary } from "../../src/report/embed.ts";
import { reportHtml } from "../../src/report/html.ts";
import { BEGIN, out, OUTCOME, traceOf } from "./trace_lines.ts";

const WARNING = { type: "warning", v: 1, message: "</script><img src=x onerror=alert(1)>" };
const HTML = await reportHtml(
  await traceOf(BEGIN, WARNING, out(1, 1, 0x3f8, "61"), OUTCOME),
  "</title><b>.jsonl",
  "1.2.3",
);

const [, SCRIPT = ""] = /<script type="module">(.*?)<\/script>/s.exec(HTML) ?? [];
const [, STYLE = ""] = /<style>(.*?)<\/style>/s.exec(HTML) ?? [];

Deno.test("the page holds all that it needs", () => {
  assert(SCRIPT.includes("uplot") && STYLE.includes(".uplot"));
  assertEquals(HTML.match(/<(?:link|img|iframe|object|embed|base)\b/g), null);
  assertEquals(HTML.match(/\b(?:src|href|action)\s*=\s*["'](?!#)/g), null);
  assertEquals(STYLE.match(/@import|url\(/g), null);
  assertEquals(SCRIPT.match(/\b(?:fetch|XMLHttpRequest|WebSocket|importScripts|eval)\(/g), null);
});

Deno.test("the policy lets the page's own script and style in, and nothing else", async () => {
  const [, policy] = /Content-Security-Policy" content="([^"]*)"/.exec(HTML)!;
  const digest = async (text: string) => {
    const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
    return `'sha256-${new Uint8Array(bytes).toBase64()}'`;
  };
  assertMatch(policy!, /^default-src 'none'; /);
  assert(policy!.includes(`script-src ${await digest(SCRIPT)};`));
  assert(policy!.includes(`style-src ${await digest(STYLE)};`));
  assertEquals(policy!.includes("unsafe"), false);
});

Deno.test("text of a trace never becomes markup", () => {
  assertEquals(HTML.includes("<img"), false);
  assertEquals(HTML.includes("<b>"), false);
  const [, json] = /id="summary">(.*?)<\/script>/s.exec(HTML)!;
  const summary = parse<TraceSummary>(json!);
  assertEquals(summary.warnings, [WARNING.message]);
  assertEquals(summary.begin?.loaded[0]?.name, "<b>");
});

Deno.test("each element that the script looks for is in the markup, once", () => {
  const ids = [...HTML.matchAll(/ id="([\w-]+)"/g)].map(([, id]) => id);
  assertEquals(ids.length, new Set(ids).size);
  for (const [, id] of SCRIPT.matchAll(/getElementById\("([\w-]+)"\)/g)) assert(ids.includes(id!));
  const labels = HTML.matchAll(/aria-(?:labelledby|describedby)="([\w-]+)"/g);
  for (const [, id] of labels) assert(ids.includes(id!), id);
});

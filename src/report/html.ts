/**
 * The report as one HTML page: markup, style, script and the packed trace, without other files.
 *
 * @module
 */

import UPLOT_STYLE from "uplot/uPlot.min.css" with { type: "text" };
import { deflate, packTrace, stringify } from "./embed.ts";
import PAGE_STYLE from "./page/page.css" with { type: "text" };
import MARKUP from "./page/page.html" with { type: "text" };
import { pageScript } from "./page_script.ts";
import type { Trace } from "./trace.ts";

const STYLE = `${UPLOT_STYLE.trim()}\n${PAGE_STYLE}`;

/** A digest of a source in a Content-Security-Policy. */
async function digest(text: string): Promise<string> {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return `'sha256-${new Uint8Array(bytes).toBase64()}'`;
}

/**
 * Makes the page of a trace. Its Content-Security-Policy allows its own script and no requests.
 *
 * @param source the file that the trace came from
 * @param version the version of vmexit
 */
export async function reportHtml(trace: Trace, source: string, version: string): Promise<string> {
  const { summary, bytes } = packTrace(trace, source, version);
  const script = await pageScript();
  const policy = [
    "default-src 'none'",
    `script-src ${await digest(script)}`,
    `style-src ${await digest(STYLE)}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  return [
    "<!DOCTYPE html>",
    '<html lang="en">',
    "<head>",
    '<meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="${policy}">`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<meta name="referrer" content="no-referrer">',
    "<title>vmexit report</title>",
    "<!-- Charts by uPlot, Copyright (c) Leon Sorokin, MIT License -->",
    `<style>${STYLE}</style>`,
    "</head>",
    "<body>",
    MARKUP,
    `<script type="application/json" id="summary">${stringify(summary)}</script>`,
    `<script type="text/plain" id="rows">${await deflate(bytes)}</script>`,
    `<script type="module">${script}</script>`,
    "</body>",
    "</html>",
    "",
  ].join("\n");
}

/**
 * Builds the page of `vmexit report`: its script, style sheet and markup become
 * src/report/page_assets.ts, so that the program needs no other file to write a
 * report. Run it as `./dev page` after a change to what the page is made of;
 * the tests tell when that was forgotten.
 *
 * @module
 */

import uPlotStyle from "uplot/uPlot.min.css" with { type: "text" };
import config from "../deno.json" with { type: "json" };

const ROOT = new URL("../", import.meta.url);
const PAGE = new URL("src/report/page/", ROOT);
const ASSETS = new URL("src/report/page_assets.ts", ROOT);

/** The files that the page is made of, by their paths in the project, in order. */
export function pageSources(): string[] {
  const own = [...Deno.readDirSync(PAGE)].map(({ name }) => `src/report/page/${name}`);
  const shared = ["aggregate", "embed", "regions", "rows", "varint"]
    .map((name) => `src/report/${name}.ts`);
  return [...own, ...shared, "src/exits/port_names.ts", "src/hex.ts"].sort();
}

/** A digest of all that the page is made of. */
export async function pageDigest(): Promise<string> {
  const texts = pageSources().map((path) =>
    `${path}\n${Deno.readTextFileSync(new URL(path, ROOT))}`
  );
  const bytes = new TextEncoder().encode([config.imports.uplot, ...texts].join("\n"));
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

async function script(): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "bundle",
      "--quiet",
      "--minify",
      "--platform=browser",
      ...(Deno.env.get("VMEXIT_DENO_FLAGS") ?? "").split(" ").filter((flag) => flag !== ""),
      new URL("main.ts", PAGE).pathname,
    ],
    cwd: ROOT,
  }).output();
  if (code !== 0) throw new Error(new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).trim();
}

if (import.meta.main) {
  const read = (name: string): string => Deno.readTextFileSync(new URL(name, PAGE));
  const constants: [name: string, about: string, value: string][] = [
    ["DIGEST", "Of the files that all this was made of.", await pageDigest()],
    ["SCRIPT", "The script, uPlot within it.", await script()],
    ["STYLE", "The style sheet.", `${uPlotStyle.trim()}\n${read("page.css")}`],
    ["MARKUP", "What is in the body.", read("page.html")],
  ];
  const text = [
    "/**\n * The page of `vmexit report`. Made by `./dev page`; not to be edited.\n *\n * @module\n */",
    ...constants.map(([name, about, value]) =>
      `/** ${about} */\nexport const ${name} =\n  ${JSON.stringify(value)};`
    ),
  ].join("\n\n");
  Deno.writeTextFileSync(ASSETS, text + "\n");
}

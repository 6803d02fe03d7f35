/**
 * The documents, and what is in them: fenced blocks, commands, transcripts, headings.
 *
 * @module
 */

import { linesOf, PROJECT } from "./vmexit.ts";

/** A document, by its path in the project. */
export interface Document {
  readonly path: string;
  readonly text: string;
}

/** A command, and the exit code that the comment behind it promises: `# exit code 20`. */
export interface DocumentedCommand {
  /** One line, or several with a here-document. */
  readonly command: string;
  readonly exitCode: number;
}

/** A command behind a prompt, and what it prints. */
export interface Transcript {
  readonly command: string;
  readonly shown: readonly string[];
}

/** The text of a Markdown file. */
export function document(path: string): string {
  return Deno.readTextFileSync(PROJECT + path);
}

const INDEX = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"];
const PAGES = [...Deno.readDirSync(`${PROJECT}docs`)]
  .filter(({ name }) => name.endsWith(".md"))
  .map(({ name }) => `docs/${name}`)
  .sort();

/** All documents, but those about the images. */
export const DOCUMENTS: readonly Document[] = [...INDEX, ...PAGES]
  .map((path) => ({ path, text: document(path) }));

/** The contents of the fenced blocks of a language. */
export function blocks(text: string, language: string): string[] {
  return [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)]
    .filter(([, name]) => name === language)
    .map(([, , content]) => content!);
}

/** The commands of a block: one a line, with its here-document if it has one. */
export function commandsOf(block: string): DocumentedCommand[] {
  const commands: DocumentedCommand[] = [];
  const lines = linesOf(block);
  while (lines.length > 0) {
    const line = lines.shift()!;
    const end = /<<'(\w+)'$/.exec(line)?.[1];
    if (end !== undefined) {
      const body = lines.splice(0, lines.indexOf(end) + 1);
      commands.push({ command: [line, ...body].join("\n"), exitCode: 0 });
      continue;
    }
    const [command, comment = ""] = line.split(/\s+# /);
    const exitCode = Number(/^exit code (\d+)/.exec(comment)?.[1] ?? 0);
    commands.push({ command: command!, exitCode });
  }
  return commands;
}

/** The commands of a block with prompts, each with the lines below it. */
export function transcriptsOf(block: string): Transcript[] {
  return block.split(/^\$ /m).slice(1).map((part) => {
    const [command, ...shown] = linesOf(part);
    return { command: command!, shown };
  });
}

/** What links can point to within a document: its headings, as GitHub names them. */
export function anchors(text: string): Set<string> {
  const headings = text.replace(/^```.*?^```$/gms, "").matchAll(/^#+ (.*)$/gm);
  return new Set(
    Array.from(
      headings,
      ([, heading]) => heading!.toLowerCase().replace(/[^\w\- ]/g, "").replaceAll(" ", "-"),
    ),
  );
}

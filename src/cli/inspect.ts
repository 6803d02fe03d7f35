/**
 * `vmexit inspect`: what an image is and how it would be booted.
 *
 * @module
 */

import type { Json } from "../exits/describe.ts";
import { hex } from "../hex.ts";
import { planImage } from "./image_file.ts";
import type { ParsedOptions } from "./options.ts";
import { parseChoice } from "./values.ts";

/**
 * Runs the command.
 *
 * @returns what to print on stdout
 * @throws {UsageError} @throws {ImageError}
 */
export function inspect(parsed: ParsedOptions): string {
  const format = parseChoice("--format", parsed.value("format") ?? "text", ["text", "json"]);
  const { path, sizeBytes, memoryBytes, plan } = planImage(parsed);
  const { mode, rip, rsp, registers, gdt, cr3 } = plan.entry;
  const entry: Record<string, Json> = { mode, rip: hex(rip), rsp: hex(rsp) };
  for (const [name, value] of Object.entries(registers ?? {})) entry[name] = hex(value);
  if (gdt) entry.gdt = hex(gdt.base);
  if (cr3 !== undefined) entry.cr3 = hex(cr3);
  const memory = plan.segments.map(({ name, gpa, sizeBytes, bytes }) => ({
    name,
    gpa: hex(gpa),
    size: sizeBytes,
    from_file: bytes.length,
  }));
  const report = {
    type: "image",
    v: 1,
    image: path,
    size: sizeBytes,
    format: plan.description,
    boot: plan.protocol,
    guest_memory: memoryBytes,
    fields: Object.fromEntries(plan.facts),
    entry,
    memory,
    warnings: [...plan.warnings],
  };
  if (format === "json") return JSON.stringify(report) + "\n";
  const lines = [
    `image    ${path}, ${sizeBytes} bytes`,
    `format   ${plan.description}`,
    `boot     --boot ${plan.protocol}`,
    "fields",
    ...plan.facts.flatMap(([name, value]) => factLines(name, value)),
    "entry",
    ...Object.entries(entry).map(([name, value]) => `  ${name.padEnd(16)} ${value}`),
    "memory",
    ...merge(plan.segments).map((s) =>
      `  ${s.gpa.padEnd(16)} ${hex(s.sizeBytes).padEnd(10)} ${s.name}`
    ),
    ...plan.warnings.map((warning) => `warning  ${warning}`),
  ];
  return lines.join("\n") + "\n";
}

function factLines(name: string, value: Json): string[] {
  if (!Array.isArray(value)) return [`  ${name.padEnd(16)} ${value}`];
  return value.map((item, i) => {
    const fields = Object.entries(item as Record<string, Json>);
    const text = fields.map(([key, field]) => `${key}=${field}`).join(" ");
    return `  ${`${name}[${i}]`.padEnd(16)} ${text}`;
  });
}

/** Neighbours of one name, such as the pages of page tables, as one. */
function merge(
  segments: readonly { name: string; gpa: bigint; sizeBytes: number }[],
): { name: string; gpa: string; sizeBytes: number }[] {
  const sorted = [...segments].sort((a, b) => a.gpa < b.gpa ? -1 : 1);
  const merged: { name: string; start: bigint; sizeBytes: number }[] = [];
  for (const { name, gpa, sizeBytes } of sorted) {
    const last = merged.at(-1);
    if (last?.name === name && last.start + BigInt(last.sizeBytes) === gpa) {
      last.sizeBytes += sizeBytes;
    } else {
      merged.push({ name, start: gpa, sizeBytes });
    }
  }
  return merged.map(({ name, start, sizeBytes }) => ({ name, gpa: hex(start), sizeBytes }));
}

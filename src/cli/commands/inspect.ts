/**
 * `vmexit inspect`: what an image is and how it would be booted.
 *
 * @module
 */

import { type Fact, loadedRanges } from "../../boot/plan.ts";
import type { Json } from "../../shape.ts";
import { hex } from "../../hex.ts";
import { planWarnings } from "../image_advice.ts";
import { planImage } from "../image_file.ts";
import { FORMATS, type INSPECT, type OptionOf } from "../options/options.ts";
import type { ParsedOptions } from "../options/parse.ts";
import { parseChoice } from "../options/values.ts";

/** The columns of fields. */
const NAME_WIDTH = 21;
const VALUE_WIDTH = 20;

/**
 * Runs the command.
 *
 * @returns what to print on stdout
 * @throws {UsageError} @throws {ImageError}
 */
export async function inspect(parsed: ParsedOptions<OptionOf<typeof INSPECT>>): Promise<string> {
  const format = parseChoice("--format", parsed.value("format") ?? "text", FORMATS);
  const { path, sizeBytes, memoryBytes, plan } = await planImage(parsed);
  const { mode, rip, rsp, registers, selectors, gdt, cr3 } = plan.entry;
  const entry: Record<string, Json> = {
    mode,
    cs: hex(selectors.code),
    rip: hex(rip),
    ds: hex(selectors.data),
    rsp: hex(rsp),
  };
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
    fields: Object.fromEntries(plan.facts.map(([name, value]) => [name, value])),
    entry,
    memory,
    warnings: planWarnings(plan),
  };
  if (format === "json") return JSON.stringify(report) + "\n";
  const lines = [
    `image    ${path}, ${sizeBytes} bytes`,
    `format   ${plan.description}`,
    `boot     --boot ${plan.protocol}`,
    "fields",
    ...plan.facts.flatMap(factLines),
    "entry",
    ...Object.entries(entry).map(([name, value]) => `  ${name.padEnd(NAME_WIDTH)} ${value}`),
    "memory",
    ...loadedRanges(plan.segments).map((range) =>
      `  ${hex(range.gpa).padEnd(NAME_WIDTH)} ${hex(range.sizeBytes).padEnd(10)} ${range.name}`
    ),
    ...report.warnings.map((warning) => `warning  ${warning}`),
  ];
  return lines.join("\n") + "\n";
}

function factLines([name, value, meaning]: Fact): string[] {
  if (!Array.isArray(value)) {
    const field = `  ${name.padEnd(NAME_WIDTH)} ${value}`;
    return [meaning ? `${field.padEnd(NAME_WIDTH + VALUE_WIDTH)}  ${meaning}` : field];
  }
  return value.map((item, i) => {
    const fields = Object.entries(item as Record<string, Json>);
    const text = fields.map(([key, field]) => `${key}=${field}`).join(" ");
    return `  ${`${name}[${i}]`.padEnd(NAME_WIDTH)} ${text}`;
  });
}

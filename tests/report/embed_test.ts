import { assert, assertEquals } from "@std/assert";
import {
  deflate,
  inflate,
  packTrace,
  parse,
  stringify,
  unpackTrace,
} from "../../src/report/embed.ts";
import { BEGIN, exit, mmio, out, OUTCOME, traceOf } from "./trace_lines.ts";

const RECORDS = [
  BEGIN,
  out(1, 1.5, 0x3f8, "4869"),
  mmio(2, 2, "0xfffffffffffff000"),
  { ...exit({ n: 3, t_us: 600e6, guest_us: 0.4 }), cpu: 3 },
  exit({
    n: 2 ** 53 - 1,
    t_us: 601e6,
    reason: "UNRECOGNIZED",
    code: 77,
    unrecognized: { raw: "00" },
  }),
  OUTCOME,
];

Deno.test("a trace comes out of a page as it went in", async () => {
  const trace = await traceOf(...RECORDS);
  const { summary, bytes } = packTrace(trace, "t.jsonl", "1.2.3");
  const again = unpackTrace(parse(stringify(summary)), await inflate(await deflate(bytes)));
  assertEquals(again.rows, trace.rows);
  assertEquals([...again.console.bytes], [...trace.console.bytes]);
  assertEquals([...again.console.row], [...trace.console.row]);
});

Deno.test("an empty trace goes through too", async () => {
  const { summary, bytes } = packTrace(await traceOf(), "-", "1.2.3");
  const { rows, console } = unpackTrace(parse(stringify(summary)), bytes);
  assertEquals([rows.length, console.bytes.length], [0, 0]);
});

Deno.test("the summary has the overview with the values that its bars name", async () => {
  const { summary } = packTrace(await traceOf(...RECORDS), "t.jsonl", "1.2.3");
  const { overview, begin, regions } = parse<typeof summary>(stringify(summary));
  assertEquals(overview.exits, 4);
  assertEquals(overview.addresses[overview.byPort.bars[0]!.key as number], 0x3f8n);
  assertEquals(begin?.memory, "0x140000000");
  assert(regions.length > 3);
});

Deno.test("a million exits take a byte or two each", async () => {
  const trace = await traceOf(
    ...Array.from({ length: 2000 }, (_, i) => out(i + 1, i * 8, 0x80, "00", "")),
  );
  const text = await deflate(packTrace(trace, "-", "1.2.3").bytes);
  assert(text.length < 2000 * 2, `${text.length} bytes for 2000`);
});

Deno.test("no text of a trace can end a script element", () => {
  const text = stringify({ text: "</script><!--", number: 2n ** 64n - 1n });
  assertEquals(text.includes("<"), false);
  assertEquals(parse(text), { text: "</script><!--", number: 2n ** 64n - 1n });
});

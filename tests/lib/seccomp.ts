/**
 * Calls that a sandbox refuses: a filter of seccomp(2) for the calling thread, as container
 * profiles have them.
 *
 * @module
 */

const PR_SET_NO_NEW_PRIVS = 38;
const PR_SET_SECCOMP = 22;
const SECCOMP_MODE_FILTER = 2n;
const [LOAD_WORD, JUMP_EQUAL, RETURN] = [0x20, 0x15, 0x06];
const ALLOW = 0x7fff_0000;
const ERRNO = 0x0005_0000;

/** Has the kernel refuse these calls (x86-64 numbers) with an errno from now on. */
export function refuseCalls(numbers: readonly number[], errno: number): void {
  const filter: [code: number, jumpTrue: number, jumpFalse: number, operand: number][] = [
    [LOAD_WORD, 0, 0, 0], // seccomp_data.nr
    ...numbers.map((nr, i) =>
      [JUMP_EQUAL, numbers.length - i, 0, nr] as [number, number, number, number]
    ),
    [RETURN, 0, 0, ALLOW],
    [RETURN, 0, 0, ERRNO | errno],
  ];
  const program = new DataView(new ArrayBuffer(filter.length * 8));
  filter.forEach(([code, jumpTrue, jumpFalse, operand], i) => {
    program.setUint16(i * 8, code, true);
    program.setUint8(i * 8 + 2, jumpTrue);
    program.setUint8(i * 8 + 3, jumpFalse);
    program.setUint32(i * 8 + 4, operand, true);
  });
  const header = new BigUint64Array([
    BigInt(filter.length),
    Deno.UnsafePointer.value(Deno.UnsafePointer.of(program.buffer)),
  ]);
  const libc = Deno.dlopen("libc.so.6", {
    prctl: { parameters: ["i32", "u64", "buffer", "u64", "u64"], result: "i32" },
  });
  const { prctl } = libc.symbols;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1n, null, 0n, 0n) !== 0) throw new Error("no_new_privs");
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0n, 0n) !== 0) throw new Error("seccomp");
}

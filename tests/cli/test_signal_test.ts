/**
 * `vmexit test` that is ended from outside leaves no guest behind, however that
 * is done.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { kvmTest } from "../lib/kvm.ts";
import { image, TempDir, VMEXIT } from "../lib/vmexit.ts";

/** How long to wait for what has to be: far less than the guests have, a minute. */
const PATIENCE_MS = 20_000;

const SPIN = ["one", "two"].map((name) =>
  `[[test]]\nname = "${name}"\nimage = "${image("spin.bin64")}"\n`
).join("");

/** The processes that a process has started and that live. */
function childrenOf(parent: number): number[] {
  const children: number[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (/^\d+$/.test(name) && statOf(Number(name))?.parent === parent) children.push(Number(name));
  }
  return children;
}

function statOf(pid: number): { parent: number; state: string } | undefined {
  try {
    // proc(5): the name, which may hold anything, stands in brackets.
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return { parent: Number(parent), state: state! };
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  const state = statOf(pid)?.state;
  return state !== undefined && state !== "Z" && state !== "X";
}

/** Whether a process is in a guest: it has opened KVM and made a vCPU. */
function hasVcpu(pid: number): boolean {
  try {
    return [...Deno.readDirSync(`/proc/${pid}/fd`)].some(({ name }) =>
      Deno.readLinkSync(`/proc/${pid}/fd/${name}`).includes("kvm-vcpu")
    );
  } catch {
    return false;
  }
}

async function until(condition: () => boolean): Promise<boolean> {
  const end = performance.now() + PATIENCE_MS;
  while (performance.now() < end) {
    if (condition()) return true;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return false;
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"] as const) {
  for (const moment of ["while guests run", "while guests start"] as const) {
    kvmTest(`${signal} to the runner leaves no guest behind, ${moment}`, async () => {
      using dir = new TempDir();
      const runner = new Deno.Command(VMEXIT, {
        args: ["test", "--jobs", "2", dir.file("spin.toml", SPIN)],
        stdin: "null",
        stdout: "null",
        stderr: "null",
      }).spawn();
      const guests = (): number[] => childrenOf(runner.pid);
      const ready = moment === "while guests run" ? hasVcpu : isAlive;
      assertEquals(await until(() => guests().filter(ready).length === 2), true);
      const started = guests();
      runner.kill(signal);
      const status = await runner.status;
      assertEquals(
        [status.code, status.signal],
        signal === "SIGKILL" ? [137, signal] : [130, null],
      );
      assertEquals(await until(() => !started.some(isAlive)), true, `${started}`);
    });
  }
}

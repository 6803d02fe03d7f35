/**
 * The command line: which command, and what becomes of errors.
 *
 * @module
 */

import config from "../../deno.json" with { type: "json" };
import { OutputBuffer } from "../trace/output_buffer.ts";
import { COMMANDS, FORMATS, parseOptions, SHELLS } from "./options/options.ts";
import { OutputError } from "./output_error.ts";
import { UsageError } from "./options/usage_error.ts";
import { parseChoice } from "./options/values.ts";

/** errnos by which a host says that it will not, or has no more to give: no bug of anybody's. */
const REFUSALS: ReadonlySet<string> = new Set([
  "EACCES",
  "EAGAIN",
  "EBUSY",
  "EMFILE",
  "ENFILE",
  "ENOMEM",
  "ENOSPC",
  "EPERM",
]);
/** Exit codes of errors that keep a guest from running. */
const CODES = { usage: 2, image: 4, unavailable: 6, bug: 8, output: 10 } as const;

/**
 * Runs a command line. Commands are loaded when they are needed.
 *
 * @param args the arguments behind the program's name
 * @returns the exit code
 */
export async function main(args: readonly string[]): Promise<number> {
  try {
    return await dispatch(args);
  } catch (error) {
    return await report(error);
  }
}

async function dispatch([name, ...args]: readonly string[]): Promise<number> {
  // What `deno compile` made has one set of permissions for all commands.
  if (Deno.build.standalone && name !== "test") Deno.permissions.revokeSync({ name: "run" });
  if (name === "--version" || name === "-V") return print(`vmexit ${config.version}\n`);
  if (name === "--help" || name === "-h") return await help();
  if (name === undefined) {
    throw new UsageError("a command is missing; try vmexit help, or vmexit run IMAGE");
  }
  const command = COMMANDS.find((c) => c.name === name);
  if (!command) {
    throw new UsageError(`unknown command "${name}"`, {
      given: name,
      choices: COMMANDS.map((c) => c.name),
    });
  }
  const options = parseOptions(command, args);
  if (options.flag("help")) return await help(name);
  switch (name) {
    case "run": {
      const { run } = await import("./commands/run.ts");
      try {
        return await run(options);
      } catch (error) {
        throw await withHostRemedy(error, options.value("kvm"));
      }
    }
    case "test": {
      const { test } = await import("./commands/test.ts");
      return await test(options);
    }
    case "inspect": {
      const { inspect } = await import("./commands/inspect.ts");
      return print(await inspect(options));
    }
    case "report": {
      const { report } = await import("./commands/report.ts");
      for (const remark of await report(options)) say(remark);
      return 0;
    }
    case "doctor": {
      const { doctor } = await import("./commands/doctor.ts");
      const { text, exitCode } = doctor({
        kvmPath: options.value("kvm") ?? "/dev/kvm",
        format: parseChoice("--format", options.value("format") ?? "text", FORMATS),
      });
      print(text);
      return exitCode;
    }
    case "completions": {
      const { completionScript } = await import("./completions/completions.ts");
      return print(completionScript(parseChoice("SHELL", options.operands[0]!, SHELLS)));
    }
    default:
      return await help(options.operands[0]);
  }
}

/** The error with what helps on this very host, where KVM itself cannot be used. */
async function withHostRemedy(error: unknown, kvmPath = "/dev/kvm"): Promise<unknown> {
  if (!(error instanceof Error && error.name === "KvmUnavailableError")) return error;
  const { inspectHost } = await import("../host/report.ts");
  const { usable, problem, remedy } = inspectHost({ kvmPath });
  if (!usable && problem && remedy) error.message = `${problem}; ${remedy}`;
  return error;
}

async function help(name?: string): Promise<number> {
  const { commandHelp, generalHelp } = await import("./commands/help.ts");
  if (name === undefined) return print(generalHelp());
  const command = COMMANDS.find((c) => c.name === name);
  if (!command) {
    throw new UsageError(`there is no command "${name}"`, {
      given: name,
      choices: COMMANDS.map((c) => c.name),
    });
  }
  return print(commandHelp(command));
}

/** Writes to stdout. A closed reader is none of our business. */
function print(text: string): number {
  const out = new OutputBuffer(Deno.stdout, "stdout");
  out.text(text);
  out.flush();
  if (out.failure && !out.failure.closed) throw new OutputError(out.failure.message);
  return 0;
}

/** Says something on stderr. Where that fails too there is nowhere left to say it. */
function say(text: string): void {
  const out = new OutputBuffer(Deno.stderr, "stderr");
  out.text(`vmexit: ${text}\n`);
  out.flush();
}

/** Says what went wrong, in one line but for a bug, and which exit code that is. */
async function report(error: unknown): Promise<number> {
  const name = error instanceof Error ? error.name : "";
  const message = error instanceof Error ? error.message : String(error);
  const fail = (code: number, text: string): number => {
    say(text);
    return code;
  };
  if (name === "HoleError") return fail(CODES.usage, `--hole: ${message}`);
  if (name === "FwCfgError") return fail(CODES.usage, `--fw-cfg: ${message}`);
  if (error instanceof UsageError) return fail(CODES.usage, await error.withSuggestion());
  const errno = name === "SystemError" ? (error as { code?: string }).code ?? "" : "";
  if (REFUSALS.has(errno)) {
    return fail(CODES.unavailable, `the host refuses: ${message}; see its limits (ulimit -a)`);
  }
  switch (name) {
    case "TestFileError":
      return fail(CODES.image, message.replaceAll("\n", "\nvmexit: "));
    case "ImageError":
    case "TraceError":
      return fail(CODES.image, message);
    case "KvmUnavailableError":
    case "HostLimitError":
      return fail(CODES.unavailable, message);
    case "OutputError":
      return fail(CODES.output, message);
    default: {
      const stack = error instanceof Error ? error.stack ?? message : message;
      return fail(
        CODES.bug,
        `internal error, a bug in vmexit ${config.version}: ${stack}\n` +
          "vmexit: please report it with this text, the command line and the output of " +
          "vmexit doctor",
      );
    }
  }
}

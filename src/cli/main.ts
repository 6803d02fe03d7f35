/**
 * The command line: which command runs, and which exit code an error has.
 *
 * @module
 */

import config from "../../deno.json" with { type: "json" };
import { EXIT_CODES } from "../exit_codes.ts";
import { OutputBuffer } from "../trace/output_buffer.ts";
import {
  COMMANDS,
  type CommandSpec,
  COMPLETIONS,
  DOCTOR,
  FORMATS,
  HELP_COMMAND,
  INSPECT,
  type OptionOf,
  REPORT,
  RUN,
  SHELLS,
  TEST,
} from "./options/options.ts";
import { type ParsedOptions, parseOptions } from "./options/parse.ts";
import { qemuHint } from "./options/qemu_options.ts";
import { UsageError } from "./options/usage_error.ts";
import { parseChoice } from "./options/values.ts";
import { OutputError } from "./output_error.ts";

/** errnos by which a host refuses, or has no more to give: no bug of vmexit. */
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

/**
 * Runs a command line. Commands are loaded when they are needed.
 *
 * @param args the arguments after the program's name
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
  switch (name) {
    case undefined:
      throw new UsageError("a command is missing; try vmexit help, or vmexit run IMAGE");
    case "--version":
    case "-V":
      return print(`vmexit ${config.version}\n`);
    case "--help":
    case "-h":
      return await help();
    case "run":
      return await command(RUN, args, async (options) => {
        const { run } = await import("./commands/run.ts");
        return await run(options);
      });
    case "test":
      return await command(TEST, args, async (options) => {
        const { test } = await import("./commands/test.ts");
        return await test(options);
      });
    case "inspect":
      return await command(INSPECT, args, async (options) => {
        const { inspect } = await import("./commands/inspect.ts");
        return print(await inspect(options));
      });
    case "report":
      return await command(REPORT, args, async (options) => {
        const { report } = await import("./commands/report.ts");
        for (const remark of await report(options)) say(remark);
        return EXIT_CODES.success.code;
      });
    case "doctor":
      return await command(DOCTOR, args, async (options) => {
        const { doctor } = await import("./commands/doctor.ts");
        const { text, exitCode } = doctor({
          kvmPath: options.value("kvm") ?? "/dev/kvm",
          format: parseChoice("--format", options.value("format") ?? "text", FORMATS),
        });
        print(text);
        return exitCode;
      });
    case "completions":
      return await command(COMPLETIONS, args, async ({ operands }) => {
        const { completionScript } = await import("./completions/completions.ts");
        return print(completionScript(parseChoice("SHELL", operands[0]!, SHELLS)));
      });
    case "help":
      return await command(HELP_COMMAND, args, ({ operands }) => help(operands[0]));
    default:
      throw await notACommand(name);
  }
}

/** Runs a command, or shows its help. */
async function command<Command extends CommandSpec>(
  spec: Command,
  args: readonly string[],
  run: (options: ParsedOptions<OptionOf<Command>>) => Promise<number>,
): Promise<number> {
  const options = parseOptions(spec, args);
  return options.wantsHelp ? await help(spec.name) : await run(options);
}

async function help(name?: string): Promise<number> {
  const { commandHelp, generalHelp } = await import("./commands/help.ts");
  if (name === undefined) return print(generalHelp());
  const spec = COMMANDS.find((each) => each.name === name);
  if (!spec) throw unknownCommand(`there is no command "${name}"`, name);
  return print(commandHelp(spec));
}

/** The first word is not a command: an image, an option of QEMU, or a slip. */
async function notACommand(name: string): Promise<UsageError> {
  const { isImageName } = await import("./image_file.ts");
  if (isImageName(name)) {
    return new UsageError(`unknown command "${name}"; to boot that image: vmexit run ${name}`);
  }
  const hint = qemuHint(name);
  return hint ? new UsageError(hint) : unknownCommand(`unknown command "${name}"`, name);
}

function unknownCommand(message: string, given: string): UsageError {
  const names = COMMANDS.map(({ name }) => name);
  const choices = given.startsWith("-") ? ["--help", "--version"] : names;
  return new UsageError(message, { given, choices });
}

/** Writes to stdout. A reader that closes it early is not an error. */
function print(text: string): number {
  const out = new OutputBuffer(Deno.stdout, "stdout");
  out.text(text);
  out.flush();
  if (out.failure && !out.failure.closed) throw new OutputError(out.failure.message);
  return EXIT_CODES.success.code;
}

/** Writes a message to stderr. If that fails too, there is nowhere else to report it. */
function say(text: string): void {
  const out = new OutputBuffer(Deno.stderr, "stderr");
  out.text(`vmexit: ${text}\n`);
  out.flush();
}

/** Says what went wrong, in one line unless it is a bug. @returns its exit code */
async function report(error: unknown): Promise<number> {
  const name = error instanceof Error ? error.name : "";
  const message = error instanceof Error ? error.message : String(error);
  const fail = ({ code }: { code: number }, text: string): number => {
    say(text);
    return code;
  };
  if (name === "HoleError") return fail(EXIT_CODES.usage, `--hole: ${message}`);
  if (name === "BusOverlapError") return fail(EXIT_CODES.usage, `--debug-exit: ${message}`);
  if (name === "FwCfgError") return fail(EXIT_CODES.usage, `--fw-cfg: ${message}`);
  if (error instanceof UsageError) return fail(EXIT_CODES.usage, await error.withSuggestion());
  const errno = name === "SystemError" ? (error as { code?: string }).code ?? "" : "";
  if (REFUSALS.has(errno)) {
    return fail(
      EXIT_CODES.kvm_unavailable,
      `the host refuses: ${message}; see its limits (ulimit -a)`,
    );
  }
  switch (name) {
    case "TestFileError":
      return fail(EXIT_CODES.image, message.replaceAll("\n", "\nvmexit: "));
    case "ImageError":
    case "TraceError":
      return fail(EXIT_CODES.image, message);
    case "KvmUnavailableError":
    case "HostLimitError":
      return fail(EXIT_CODES.kvm_unavailable, message);
    case "OutputError":
      return fail(EXIT_CODES.output, message);
    default: {
      const stack = error instanceof Error ? error.stack ?? message : message;
      return fail(
        EXIT_CODES.bug,
        `internal error, a bug in vmexit ${config.version}: ${stack}\n` +
          "vmexit: please report it with this text, the command line and the output of " +
          "vmexit doctor",
      );
    }
  }
}

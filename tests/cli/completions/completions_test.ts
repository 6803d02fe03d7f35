/**
 * Completions, by the shells themselves where they are installed.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { existsSync } from "@std/fs";
import { completionScript } from "../../../src/cli/completions/completions.ts";
import { COMMANDS, SHELLS } from "../../../src/cli/options/options.ts";
import { parseChoice } from "../../../src/cli/options/values.ts";
import { execute, TempDir, vmexit } from "../../lib/vmexit.ts";

Deno.test("the command prints the script for a shell", async () => {
  for (const shell of SHELLS) {
    const { code, stdout } = await vmexit("completions", shell);
    assertEquals([code, stdout], [0, completionScript(shell)]);
  }
  const { code, stderr } = await vmexit("completions", "fihs");
  assertEquals(code, 2);
  assertStringIncludes(stderr, 'SHELL: "fihs" is none of bash, zsh, fish; did you mean fish?');
});

Deno.test("every command and option is in every script", () => {
  for (const shell of SHELLS) {
    const script = completionScript(shell);
    for (const { name, options } of COMMANDS) {
      assertStringIncludes(script, name);
      for (const option of options) {
        assertStringIncludes(script, `${shell === "fish" ? "-l " : "--"}${option.name}`);
      }
    }
  }
});

Deno.test("words that are completed are those that the help names", () => {
  for (const { options } of COMMANDS) {
    for (const { name, values, help } of options) {
      if (values?.kind !== "word" && values?.kind !== "suffix") continue;
      for (const word of values.words()) assertStringIncludes(help, word, `--${name}`);
    }
  }
});

Deno.test("words that are completed are those that are accepted", async () => {
  const run = COMMANDS.find(({ name }) => name === "run")!;
  for (const option of ["format", "boot", "machine", "unclaimed", "fault-policy"]) {
    const values = run.options.find(({ name }) => name === option)!.values!;
    assert(values.kind === "word");
    const { code, stderr } = await vmexit("run", `--${option}=?`, "images/hello.elf");
    assertEquals(code, 2);
    assertStringIncludes(stderr, `--${option}: "?" is none of ${values.words().join(", ")}`);
    for (const word of values.words()) assertEquals(parseChoice("", word, values.words()), word);
  }
});

/** What is proposed for a command line that is being typed in the project's folder. */
type Complete = (line: string) => Promise<string[]>;

async function proposals(program: string, args: string[]): Promise<string[]> {
  const { stdout, stderr } = await execute(program, args);
  assertEquals(stderr, "");
  return stdout.split("\n").map((line) => line.split("\t")[0]!).filter(Boolean).sort();
}

const BASH = `
compopt() { :; }
. "$1"
COMP_LINE=$2 COMP_POINT=\${#2}
_vmexit
printf '%s\\n' "\${COMPREPLY[@]}"
`;

function bashOf(script: string): Complete {
  return (line) => proposals("bash", ["-c", BASH, "bash", script, line]);
}

function fishOf(script: string): Complete {
  return (line) =>
    proposals("fish", ["--no-config", "-c", "source $argv[1]; complete -C $argv[2]", script, line]);
}

// An interactive zsh that writes down what it would add, and at the end a mark.
const ZSH_SET_UP = `
PROMPT=
autoload -U compinit
compinit -u -D
. "$script"
bindkey '^I' complete-word
compadd() {
  local -a hits
  builtin compadd -O hits "$@"
  print -rl -- $hits >>"$seen"
  builtin compadd "$@"
}
finish() {
  compstate[insert]=
  compstate[list]=
  print END >>"$seen"
}
comppostfuncs=(finish)
echo READ''Y
`;

const ZSH = `
zmodload zsh/zpty
export script=$1 seen=$3/seen
zpty shell zsh -f -i
zpty -w shell ". \${(q)4}"
zpty -r shell text '*(READY|error)*'
zpty -n -w shell "$2"$'\t'
for ((i = 0; i < 500; i++)); do
  [[ -e $seen && $(<$seen) == *END ]] && break
  sleep 0.02
done
zpty -d shell
grep -vx END $seen | sort -u
`;

function zshOf(script: string): Complete {
  return async (line) => {
    using dir = new TempDir();
    return await proposals("zsh", [
      ...["-f", "-c", ZSH, "zsh", script, line, dir.path],
      dir.file("set-up", ZSH_SET_UP),
    ]);
  };
}

const shells = { bash: bashOf, fish: fishOf, zsh: zshOf };

for (const shell of SHELLS) {
  const isThere = ["/bin", "/usr/bin"].some((folder) => existsSync(`${folder}/${shell}`));
  Deno.test({
    name: `${shell} completes commands, options, their values and images (needs ${shell})`,
    ignore: !isThere,
    fn: async () => {
      using dir = new TempDir();
      const complete = shells[shell](dir.file("script", completionScript(shell)));
      assertEquals(await complete("vmexit d"), ["doctor"]);
      assertEquals(await complete("vmexit help in"), ["inspect"]);
      assertEquals(await complete("vmexit completions "), ["bash", "fish", "zsh"]);
      assertEquals(await complete("vmexit run --fault-"), ["--fault-policy", "--fault-retries"]);
      assertEquals(await complete("vmexit inspect --fault-"), []);
      assertEquals(await complete("vmexit run --format "), ["json", "text"]);
      assertEquals(await complete("vmexit run -q --machine b"), ["bare"]);
      const readme = (await complete("vmexit run --initrd READ")).map((path) => path.trim());
      assertEquals(readme, ["README.md"]);
      assertEquals(await complete("vmexit run -q hel"), ["hello", "hello32"]);
      // Some shells propose the part that is new, others the whole word.
      const ends = async (line: string, ...wanted: string[]): Promise<void> => {
        const found = await complete(line);
        assertEquals(found.map((word) => word.split(/[=:,]/).at(-1)), wanted, line);
      };
      await ends("vmexit run --format=j", "json");
      await ends("vmexit run --trace io,MM", "MMIO");
      await ends("vmexit run --hole 0x1000+0x1000:rea", "readonly");
      await ends("vmexit run --com1 file:READ", "README.md");
      await ends("vmexit run --trace io,S390", ...[]);
      await ends("vmexit run --cpu none,+rdra", "+rdrand");
      await ends("vmexit run --cpu=-rdra", "-rdrand");
      await ends("vmexit test --format j", "json", "junit");
      await ends("vmexit report --to p", "perfetto");
      const files = async (line: string): Promise<string[]> =>
        (await complete(line)).map((path) => path.trim().split("/").at(-1)!);
      assertEquals(await files("vmexit test READ"), ["README.md"]);
      assertEquals(await files("vmexit report READ"), ["README.md"]);
      assertEquals(await files("vmexit report -o READ"), ["README.md"]);
    },
  });
}

Deno.test("the script for bash is sound", async () => {
  using dir = new TempDir();
  const script = dir.file("script", completionScript("bash"));
  assertEquals((await execute("bash", ["-n", script])).stderr, "");
});

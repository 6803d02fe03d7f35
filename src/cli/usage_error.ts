/**
 * A command line that makes no sense.
 *
 * @module
 */

/** What the user typed is wrong: exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  /** What was typed, where it may be a slip of one of `choices`. */
  readonly given: string | undefined;
  readonly choices: readonly string[];

  /**
   * @param message what is wrong and, where it is not obvious, what would be right
   * @param slip a name that is not known, and the known ones
   */
  constructor(message: string, slip?: { given: string; choices: readonly string[] }) {
    super(message);
    this.given = slip?.given;
    this.choices = slip?.choices ?? [];
  }

  /** The message with the nearest known name, where one is near. */
  async withSuggestion(): Promise<string> {
    if (this.given === undefined || this.choices.length === 0) return this.message;
    // Loaded here, since nearly every run does without it.
    const { distance } = await import("fastest-levenshtein");
    const given = this.given.toLowerCase();
    const letters = given.replace(/^-+/, "").length;
    const most = Math.min(Math.max(2, given.length / 3), letters - 1);
    const near = this.choices
      .map((choice) => ({
        choice,
        begins: letters > 1 && choice.toLowerCase().startsWith(given),
        slips: distance(given, choice.toLowerCase()),
      }))
      .filter(({ begins, slips }) => begins || slips <= most)
      .sort((a, b) => Number(b.begins) - Number(a.begins) || a.slips - b.slips);
    return near[0] ? `${this.message}; did you mean ${near[0].choice}?` : this.message;
  }
}

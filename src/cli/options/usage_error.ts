/**
 * A mistake on the command line.
 *
 * @module
 */

import { nearestName } from "../../nearest.ts";

/** The command line is wrong: exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  /** What was typed, where it may be a slip for one of `choices`. */
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
    const near = await nearestName(this.given, this.choices);
    return near === undefined ? this.message : `${this.message}; did you mean ${near}?`;
  }
}

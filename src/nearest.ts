/**
 * The name that was probably meant.
 *
 * @module
 */

/**
 * The nearest of the known names, where one is near.
 *
 * @param given what was written
 *
 * @example
 * ```ts
 * import { nearestName } from "./nearest.ts";
 * console.log(await nearestName("--memroy", ["--memory", "--append"])); // "--memory"
 * ```
 */
export async function nearestName(
  given: string,
  choices: readonly string[],
): Promise<string | undefined> {
  // Loaded here, since nearly every run does without it.
  const { distance } = await import("fastest-levenshtein");
  const wanted = given.toLowerCase();
  const letters = wanted.replace(/^-+/, "").length;
  const most = Math.min(Math.max(2, wanted.length / 3), letters - 1);
  const near = choices
    .map((choice) => ({
      choice,
      begins: letters > 1 && choice.toLowerCase().startsWith(wanted),
      slips: distance(wanted, choice.toLowerCase()),
    }))
    .filter(({ begins, slips }) => begins || slips <= most)
    .sort((a, b) => Number(b.begins) - Number(a.begins) || a.slips - b.slips);
  return near[0]?.choice;
}

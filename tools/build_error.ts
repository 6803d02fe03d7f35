/**
 * What keeps an executable from being made, in words for who wanted it.
 *
 * @module
 */

/** The executable could not be made. */
export class BuildError extends Error {
  override readonly name = "BuildError";
}

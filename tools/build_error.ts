/**
 * Why an executable cannot be built, worded for the user.
 *
 * @module
 */

/** The executable cannot be built. */
export class BuildError extends Error {
  override readonly name = "BuildError";
}

/**
 * Traces that are none.
 *
 * @module
 */

/** A trace cannot be read or is malformed: exit code 4. The message says where. */
export class TraceError extends Error {
  override readonly name = "TraceError";
}

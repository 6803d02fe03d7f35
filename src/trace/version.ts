/**
 * The version of the records of a JSON trace.
 *
 * @module
 */

/** It changes when a field changes its meaning or goes. */
export const SCHEMA_VERSION = 1;

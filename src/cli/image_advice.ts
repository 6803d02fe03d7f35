/**
 * What a command line can do about an image: the loaders' remedies and warnings,
 * in terms of options.
 *
 * @module
 */

import type { ImageError } from "../boot/image.ts";
import type { BootPlan, UnusedOption } from "../boot/plan.ts";

const FLAGS = {
  commandLine: "--append",
  modules: "--initrd",
  moduleArguments: "an argument behind --initrd FILE",
  loadAddress: "--load-address",
  entry: "--entry",
} as const satisfies Record<UnusedOption, string>;

/** An image's error with its remedy: `…; give the guest more with --memory`. */
export function withAdvice({ message, remedy }: ImageError): string {
  switch (remedy?.option) {
    case undefined:
      return message;
    case "memory":
      return `${message}; give the guest more with --memory`;
    case "boot":
      return `${message}${
        remedy.value === undefined ? "; see --boot" : `: --boot ${remedy.value}`
      }`;
    case "entry":
      return `${message}; set --entry`;
    case "commandLine":
      return `${message}; see --append`;
    case "decompress":
      return `${message}; leave out --decompress`;
  }
}

/** The warnings before an image is booted. */
export function planWarnings({ protocol, warnings, unused }: BootPlan): string[] {
  return [
    ...warnings,
    ...unused.map((option) => `${FLAGS[option]} has no meaning for ${protocol} images`),
  ];
}

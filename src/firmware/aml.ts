/**
 * An ACPI machine language (AML) encoder with the few terms that describe fixed
 * devices, for the DSDT (ACPI 6.5, chapter 20; resources: section 6.4).
 *
 * @module
 */

/** Encoded terms. */
export type Aml = readonly number[];

const NAME_OP = 0x08;
const BYTE_PREFIX = 0x0a;
const DWORD_PREFIX = 0x0c;
const STRING_PREFIX = 0x0d;
const SCOPE_OP = 0x10;
const BUFFER_OP = 0x11;
const PACKAGE_OP = 0x12;
const EXTENDED_OP = 0x5b;
const DEVICE_OP = 0x82;
const ROOT = 0x5c;
const IO_DESCRIPTOR = 0x47;
const DECODE_16 = 0x01;
const IRQ_DESCRIPTOR = 0x22;
const END_TAG = [0x79, 0x00] as const;

function ascii(text: string): number[] {
  return [...text].map((char) => char.charCodeAt(0));
}

/** A term with a package length, which counts its own bytes, before its content. */
function sized(opcode: Aml, content: Aml): Aml {
  const bytes = content.length + 1;
  if (bytes < 0x40) return [...opcode, bytes, ...content];
  const longer = content.length + 2; // 12 bits are enough: these tables are small
  return [...opcode, 0x40 | (longer & 0x0f), longer >> 4, ...content];
}

/** A number below 256. */
export function byteConst(value: number): Aml {
  return value < 2 ? [value] : [BYTE_PREFIX, value];
}

/** A string. */
export function stringConst(text: string): Aml {
  return [STRING_PREFIX, ...ascii(text), 0];
}

/** A Plug and Play id, such as `PNP0501`: three letters of five bits, four digits. */
export function eisaId(id: string): Aml {
  const [a, b, c] = ascii(id).map((code) => code - 0x40) as [number, number, number];
  const letters = (a << 10) | (b << 5) | c;
  const digits = parseInt(id.slice(3), 16);
  return [DWORD_PREFIX, letters >> 8, letters & 0xff, digits >> 8, digits & 0xff];
}

/** `Name (segment, value)`. @param segment four characters */
export function name(segment: string, value: Aml): Aml {
  return [NAME_OP, ...ascii(segment), ...value];
}

/** `Package () { … }`. */
export function packageOf(...elements: Aml[]): Aml {
  return sized([PACKAGE_OP], [elements.length, ...elements.flat()]);
}

/** `Scope (\segment) { … }`. */
export function scope(segment: string, ...terms: Aml[]): Aml {
  return sized([SCOPE_OP], [ROOT, ...ascii(segment), ...terms.flat()]);
}

/** `Device (segment) { … }`. */
export function device(segment: string, ...terms: Aml[]): Aml {
  return sized([EXTENDED_OP, DEVICE_OP], [...ascii(segment), ...terms.flat()]);
}

/** `ResourceTemplate () { … }`. */
export function resources(...descriptors: Aml[]): Aml {
  const bytes = [...descriptors.flat(), ...END_TAG];
  return sized([BUFFER_OP], [...byteConst(bytes.length), ...bytes]);
}

/** `IO (Decode16, …)`: ports from `start` on. */
export function ioPorts(start: number, size: number): Aml {
  const port = [start & 0xff, start >> 8];
  return [IO_DESCRIPTOR, DECODE_16, ...port, ...port, 1, size];
}

/** `IRQNoFlags () {irq}`: an edge-triggered, active-high interrupt. */
export function irqNoFlags(irq: number): Aml {
  const mask = 1 << irq;
  return [IRQ_DESCRIPTOR, mask & 0xff, mask >> 8];
}

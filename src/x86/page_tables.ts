/**
 * Page tables: an identity map for guests that start in long mode, and a walk
 * that translates as the processor does and says where it stopped if it cannot.
 * Source: SDM volume 3A, chapter "Paging": 32-bit paging (4.3), PAE paging (4.4),
 * 4-level and 5-level paging (4.5); 4.5 also has the canonical-address rule.
 *
 * @module
 */

import { hex } from "../hex.ts";
import { PAGE_BYTES } from "../pages.ts";
import { CR0, CR4, EFER } from "./control_registers.ts";

/** Present. */
const P = 1n << 0n;
/** Writable. */
const RW = 1n << 1n;
/** User-accessible. */
const US = 1n << 2n;
/** The entry maps a large page instead of naming a table. */
const PS = 1n << 7n;
/** Execution disabled, when EFER.NXE is set. */
const XD = 1n << 63n;

const PAGE = BigInt(PAGE_BYTES);
const LARGE_PAGE_BYTES = 0x20_0000n;
const ENTRIES = 512n;
const FOUR_GIB = 1n << 32n;
/** Identity addresses above this are not canonical with four levels. */
const IDENTITY_LIMIT = 1n << 47n;
/** Bits 51:12, the widest address that an entry can hold. */
const ADDRESS_MASK = 0xf_ffff_ffff_f000n;

/** One page-table page: where it goes and its 4096 bytes. */
export interface TablePage {
  /** The guest physical address, 4 KiB aligned. */
  readonly gpa: bigint;
  /** 512 little-endian entries. */
  readonly bytes: Uint8Array;
}

/** The options of {@linkcode identityMap}. */
export interface IdentityMapOptions {
  /** Map at least guest physical addresses 0 to here, in bytes; 4 GiB is the minimum. */
  readonly sizeBytes: bigint;
  /** Gives the GPA of `pageCount` consecutive free 4 KiB pages. Called once. */
  readonly allocate: (pageCount: number) => bigint;
}

/** Tables ready to be written to guest memory. */
export interface IdentityMap {
  /** What to load into CR3: the PML4's GPA. */
  readonly cr3: bigint;
  /** The PML4, then the PDPTs, then the page directories. */
  readonly tables: readonly TablePage[];
}

/**
 * Makes 4-level tables that map every address to itself with 2 MiB pages:
 * present, writable and user-accessible. Whole page directories are filled, so
 * the map ends at the next GiB boundary at or above `sizeBytes`.
 *
 * @throws {RangeError} when more than 128 TiB are requested, or the allocated
 * address is not 4 KiB aligned.
 *
 * @example
 * ```ts
 * import { identityMap } from "./page_tables.ts";
 * const { cr3, tables } = identityMap({ sizeBytes: 0n, allocate: () => 0x1000n });
 * console.log(cr3, tables.length); // 4096n 6
 * ```
 */
export function identityMap(options: IdentityMapOptions): IdentityMap {
  const size = options.sizeBytes > FOUR_GIB ? options.sizeBytes : FOUR_GIB;
  if (size > IDENTITY_LIMIT) {
    throw new RangeError(
      `cannot identity-map ${hex(size)} bytes: 4-level paging ends at ${hex(IDENTITY_LIMIT)}`,
    );
  }
  const directories = ceilDivide(size, LARGE_PAGE_BYTES * ENTRIES);
  const pointerTables = ceilDivide(directories, ENTRIES);
  const count = Number(1n + pointerTables + directories);
  const cr3 = options.allocate(count);
  if (cr3 % PAGE !== 0n) {
    throw new RangeError(`page tables cannot start at ${hex(cr3)}: not 4 KiB aligned`);
  }
  const tables: TablePage[] = [];
  const flags = Number(P | RW | US);
  /** Fills a table with entries at a fixed distance: halves are written, not bigints. */
  const add = (first: bigint, step: number, used: number, flags: number): void => {
    const words = new Uint32Array(Number(ENTRIES) * 2);
    let address = Number(first);
    for (let i = 0; i < used; i++, address += step) {
      words[2 * i] = (address % 2 ** 32) | flags;
      words[2 * i + 1] = address / 2 ** 32;
    }
    const gpa = cr3 + BigInt(tables.length) * PAGE;
    tables.push({ gpa, bytes: new Uint8Array(words.buffer) });
  };
  const page = Number(PAGE_BYTES);
  const tableAt = (index: bigint): bigint => cr3 + index * PAGE;

  add(tableAt(1n), page, Number(pointerTables), flags);
  for (let table = 0n; table < pointerTables; table++) {
    const first = table * ENTRIES;
    const left = directories - first;
    const used = Number(left < ENTRIES ? left : ENTRIES);
    add(tableAt(1n + pointerTables + first), page, used, flags);
  }
  for (let directory = 0n; directory < directories; directory++) {
    const first = directory * ENTRIES * LARGE_PAGE_BYTES;
    add(first, Number(LARGE_PAGE_BYTES), Number(ENTRIES), flags | Number(PS));
  }
  return { cr3, tables };
}

/** The levels of the paging structures, outermost first. */
export type PagingLevel = "PML5" | "PML4" | "PDPT" | "PD" | "PT";

/** The registers that decide how addresses are translated. */
export interface PagingRegisters {
  readonly cr0: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  readonly efer: bigint;
}

/** One entry that a walk read. */
export interface WalkStep {
  /** The level that it is of. */
  readonly level: PagingLevel;
  /** Where the entry is. */
  readonly entryGpa: bigint;
  /** The entry; 32 bits wide with 32-bit paging. */
  readonly entry: bigint;
}

/** A walk that reached a page. */
export interface Translation {
  readonly mapped: true;
  /** The guest physical address that the GVA translates to. */
  readonly gpa: bigint;
  /** Size of the page in bytes: 4 KiB, 2 MiB, 4 MiB or 1 GiB; 4 KiB with paging off. */
  readonly pageSize: bigint;
  /** Every entry on the way permits writes. */
  readonly writable: boolean;
  /** Every entry on the way permits CPL 3. */
  readonly user: boolean;
  /** An entry on the way forbids instruction fetches. */
  readonly nx: boolean;
  /** The entries read, outermost first; empty with paging off. */
  readonly steps: readonly WalkStep[];
}

/** A walk that stopped at an entry. */
export interface EntryFailure {
  readonly mapped: false;
  /**
   * `not present`: bit 0 is clear. `reserved`: a bit is set that this level and
   * these control registers reserve. `unreadable`: the entry could not be read.
   */
  readonly reason: "not present" | "reserved" | "unreadable";
  readonly failedLevel: PagingLevel;
  readonly entryGpa: bigint;
  /** The entry, unless it was unreadable. */
  readonly entry: bigint | undefined;
  /** The entries read, the failing one included if it could be read. */
  readonly steps: readonly WalkStep[];
}

/** An address that long mode refuses before any table is read. */
export interface NonCanonical {
  readonly mapped: false;
  readonly reason: "non-canonical";
  readonly steps: readonly [];
}

/** The result of {@linkcode walk}. */
export type WalkResult = Translation | EntryFailure | NonCanonical;

/** One level of a paging mode. */
interface LevelFormat {
  readonly level: PagingLevel;
  /** The lowest bit of the linear address that indexes this level. */
  readonly shift: bigint;
  /** PS makes the entry map a page of 2**shift bytes. */
  readonly large: boolean;
  /** Bits that must be 0 in an entry that names a table or a 4 KiB page. */
  readonly reserved: bigint;
  /** Bits that must be 0 in an entry that maps a large page. */
  readonly reservedLarge: bigint;
  /** The entry has R/W, U/S and XD; a PAE PDPT entry has not. */
  readonly hasRights: boolean;
}

/** A paging mode: how wide its entries are and how an address is cut into indexes. */
interface PagingMode {
  readonly entryBytes: 4n | 8n;
  readonly indexBits: bigint;
  readonly root: bigint;
  readonly levels: readonly LevelFormat[];
}

function level(
  name: PagingLevel,
  shift: bigint,
  bits: Partial<Omit<LevelFormat, "level" | "shift">> = {},
): LevelFormat {
  const { large = false, reserved = 0n, reservedLarge = 0n, hasRights = true } = bits;
  return { level: name, shift, large, reserved, reservedLarge, hasRights };
}

/** Bits 62:52 are reserved with PAE paging; with 4 levels they are software's or protection keys. */
const PAE_HIGH = 0x7ff0_0000_0000_0000n;
const RESERVED_2M = bitRange(20n, 13n);
const RESERVED_1G = bitRange(29n, 13n);

const MODE_32 = [level("PD", 22n), level("PT", 12n)];
const MODE_32_PSE = [
  level("PD", 22n, { large: true, reservedLarge: 1n << 21n }),
  level("PT", 12n),
];
const MODE_PAE = [
  level("PDPT", 30n, { reserved: PAE_HIGH | XD | bitRange(8n, 5n) | RW | US, hasRights: false }),
  level("PD", 21n, { large: true, reserved: PAE_HIGH, reservedLarge: PAE_HIGH | RESERVED_2M }),
  level("PT", 12n, { reserved: PAE_HIGH }),
];
const MODE_4_LEVEL = [
  level("PML4", 39n, { reserved: PS }),
  level("PDPT", 30n, { large: true, reservedLarge: RESERVED_1G }),
  level("PD", 21n, { large: true, reservedLarge: RESERVED_2M }),
  level("PT", 12n),
];
const MODE_5_LEVEL = [level("PML5", 48n, { reserved: PS }), ...MODE_4_LEVEL];

function pagingMode({ cr3, cr4, efer }: PagingRegisters): PagingMode {
  if (efer & EFER.LMA) {
    const levels = cr4 & CR4.LA57 ? MODE_5_LEVEL : MODE_4_LEVEL;
    return { entryBytes: 8n, indexBits: 9n, root: cr3 & ADDRESS_MASK, levels };
  }
  if (cr4 & CR4.PAE) {
    return { entryBytes: 8n, indexBits: 9n, root: cr3 & 0xffffffe0n, levels: MODE_PAE };
  }
  const levels = cr4 & CR4.PSE ? MODE_32_PSE : MODE_32;
  return { entryBytes: 4n, indexBits: 10n, root: cr3 & 0xfffff000n, levels };
}

/**
 * Translates a linear address by reading the guest's own page tables: without
 * paging, with 32-bit paging (4 MiB pages and PSE-36 included), PAE, 4-level or
 * 5-level paging, whichever the registers select.
 *
 * Outside long mode the address is cut to 32 bits. Reserved bits are those that
 * every processor reserves: bits between the physical-address width and 51 are
 * taken as address bits, and 1 GiB pages and execute-disable as supported. PAE
 * PDPT entries are read from memory, which the processor does when CR3 is loaded.
 * Access rights are reported, not enforced.
 *
 * @param readU64 Reads the 8 bytes at an 8-byte-aligned GPA; `undefined` when it cannot.
 *
 * @example
 * ```ts
 * import { walk } from "./page_tables.ts";
 * const result = walk(() => undefined, { cr0: 0x11n, cr3: 0n, cr4: 0n, efer: 0n }, 0x1234n);
 * console.log(result.mapped && result.gpa); // 4660n
 * ```
 */
export function walk(
  readU64: (gpa: bigint) => bigint | undefined,
  registers: PagingRegisters,
  gva: bigint,
): WalkResult {
  const longMode = (registers.efer & EFER.LMA) !== 0n;
  const linear = BigInt.asUintN(longMode ? 64 : 32, gva);
  if (!(registers.cr0 & CR0.PG)) {
    return {
      mapped: true,
      gpa: linear,
      pageSize: PAGE,
      writable: true,
      user: true,
      nx: false,
      steps: [],
    };
  }
  if (longMode && !isCanonical(linear, registers.cr4 & CR4.LA57 ? 57 : 48)) {
    return { mapped: false, reason: "non-canonical", steps: [] };
  }

  const { entryBytes, indexBits, root, levels } = pagingMode(registers);
  const nxEnabled = (registers.efer & EFER.NXE) !== 0n;
  const steps: WalkStep[] = [];
  let table = root;
  let writable = true;
  let user = true;
  let nx = false;

  for (const format of levels) {
    const index = (linear >> format.shift) & ((1n << indexBits) - 1n);
    const entryGpa = table + index * entryBytes;
    const failed = { mapped: false, failedLevel: format.level, entryGpa, steps } as const;
    const entry = readEntry(readU64, entryGpa, entryBytes);
    if (entry === undefined) return { ...failed, reason: "unreadable", entry };
    steps.push({ level: format.level, entryGpa, entry });
    if (!(entry & P)) return { ...failed, reason: "not present", entry };

    const large = format.large && (entry & PS) !== 0n;
    const reserved = (large ? format.reservedLarge : format.reserved) |
      (entryBytes === 8n && !nxEnabled ? XD : 0n);
    if (entry & reserved) return { ...failed, reason: "reserved", entry };

    if (format.hasRights) {
      writable &&= (entry & RW) !== 0n;
      user &&= (entry & US) !== 0n;
      nx ||= entryBytes === 8n && (entry & XD) !== 0n;
    }
    if (large || format.level === "PT") {
      const pageSize = 1n << format.shift;
      const gpa = pageBase(entry, entryBytes, pageSize) | (linear & (pageSize - 1n));
      return { mapped: true, gpa, pageSize, writable, user, nx, steps };
    }
    table = entry & (entryBytes === 8n ? ADDRESS_MASK : 0xfffff000n);
  }
  throw new Error("unreachable: the last level of every paging mode is PT");
}

/** The physical address of the page that a final entry maps. */
function pageBase(entry: bigint, entryBytes: 4n | 8n, pageSize: bigint): bigint {
  if (entryBytes === 8n) return entry & ADDRESS_MASK & ~(pageSize - 1n);
  if (pageSize === PAGE) return entry & 0xfffff000n;
  // PSE-36: bits 20:13 of a 4 MiB entry are bits 39:32 of the address (SDM table 4-4).
  return (entry & 0xffc00000n) | ((entry & bitRange(20n, 13n)) >> 13n) << 32n;
}

function readEntry(
  readU64: (gpa: bigint) => bigint | undefined,
  gpa: bigint,
  bytes: 4n | 8n,
): bigint | undefined {
  const word = readU64(gpa & ~7n);
  if (word === undefined || bytes === 8n) return word;
  return (word >> ((gpa & 4n) * 8n)) & 0xffffffffn;
}

function isCanonical(linear: bigint, bits: number): boolean {
  return BigInt.asUintN(64, BigInt.asIntN(bits, linear)) === linear;
}

/** The mask of bits `high` down to `low`, both included. */
function bitRange(high: bigint, low: bigint): bigint {
  return (1n << (high + 1n)) - (1n << low);
}

function ceilDivide(a: bigint, b: bigint): bigint {
  return (a + b - 1n) / b;
}

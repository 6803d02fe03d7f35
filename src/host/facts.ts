/**
 * What Linux reports about the host in /proc and /sys: its kernel, its processor and
 * its KVM module.
 *
 * The files are read through the C library: Deno opens /proc and /sys only for a
 * program with all permissions.
 *
 * @module
 */

import { close, O_CLOEXEC, open, read, SystemError } from "../../ffi/libc.ts";

/** Reads the host's files; tests replace it. */
export interface HostFiles {
  /** A file's text. @throws {SystemError} */
  read(path: string): string;
  /** Whether a file or directory exists. */
  exists(path: string): boolean;
}

/** The processor. None of this decides whether KVM works: some KVMs need neither VMX nor SVM. */
export interface CpuFacts {
  /** `AuthenticAMD`, `GenuineIntel`, … */
  readonly vendor: string;
  readonly model: string;
  /** The virtualization extension that /proc/cpuinfo shows, if any. */
  readonly virtualization: "vmx" | "svm" | undefined;
  /** Whether the host is itself a guest. */
  readonly underHypervisor: boolean;
}

/** The module behind this kernel's KVM. */
export interface KvmModule {
  /** `kvm_intel`, `kvm_amd` or another; `undefined` when none shows. */
  readonly name: string | undefined;
  readonly kind: "kvm_intel" | "kvm_amd" | "other" | "none";
  /** Whether it is built into the kernel. */
  readonly builtIn: boolean;
  /** The minor number of KVM's misc device (major 10); `undefined` when it is not registered. */
  readonly miscMinor: number | undefined;
}

const CHUNK_BYTES = 65536;

/** The files of the host that this process runs on. */
export const HOST_FILES: HostFiles = {
  read(path) {
    const fd = open(path, O_CLOEXEC);
    try {
      // Files in /proc have no size: read to the end.
      const decoder = new TextDecoder();
      const chunk = new Uint8Array(CHUNK_BYTES);
      let text = "";
      for (;;) {
        const count = read(fd, chunk);
        if (count === 0) return text + decoder.decode();
        text += decoder.decode(chunk.subarray(0, count), { stream: true });
      }
    } finally {
      close(fd);
    }
  },
  exists(path) {
    try {
      close(open(path, O_CLOEXEC));
      return true;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      return error.code !== "ENOENT";
    }
  },
};

/** The running kernel's release, as `uname -r` prints it. @throws {SystemError} */
export function kernelRelease(files: HostFiles): string {
  return files.read("/proc/sys/kernel/osrelease").trim();
}

/** The first processor. @throws {SystemError} */
export function cpuFacts(files: HostFiles): CpuFacts {
  const fields = new Map<string, string>();
  for (const line of files.read("/proc/cpuinfo").split("\n")) {
    if (line === "") break;
    const colon = line.indexOf(":");
    if (colon >= 0) fields.set(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
  }
  const flags = new Set(fields.get("flags")?.split(" "));
  return {
    vendor: fields.get("vendor_id") ?? "unknown",
    model: fields.get("model name") ?? "unknown",
    virtualization: flags.has("vmx") ? "vmx" : flags.has("svm") ? "svm" : undefined,
    underHypervisor: flags.has("hypervisor"),
  };
}

/** Modules that show in /sys even when they are built in. */
const KNOWN_MODULES = ["kvm_intel", "kvm_amd", "kvm_pvm"] as const;

/**
 * The KVM module: of several, as in kernels that have them built in, the one for this
 * vendor's processors.
 */
export function kvmModule(files: HostFiles, vendor: string | undefined): KvmModule {
  const loaded = readOr(files, "/proc/modules", "").split("\n").map((line) => line.split(" ")[0]!);
  const names = new Set(loaded.filter((name) => name.startsWith("kvm_")));
  for (const name of KNOWN_MODULES) {
    if (files.exists(`/sys/module/${name}`)) names.add(name);
  }
  const wanted = vendorModule(vendor);
  const name = wanted !== undefined && names.has(wanted) ? wanted : [...names][0];
  const minor = /^\s*(\d+) kvm$/m.exec(readOr(files, "/proc/misc", ""))?.[1];
  return {
    name,
    kind: name === undefined ? "none" : name === "kvm_intel" || name === "kvm_amd" ? name : "other",
    builtIn: name !== undefined && !loaded.includes(name),
    miscMinor: minor === undefined ? undefined : Number(minor),
  };
}

/** The module that a vendor's processors need. */
export function vendorModule(vendor: string | undefined): "kvm_intel" | "kvm_amd" | undefined {
  switch (vendor) {
    case "AuthenticAMD":
    case "HygonGenuine":
      return "kvm_amd";
    case "GenuineIntel":
    case "CentaurHauls":
      return "kvm_intel";
    default:
      return undefined;
  }
}

function readOr(files: HostFiles, path: string, otherwise: string): string {
  try {
    return files.read(path);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return otherwise;
  }
}

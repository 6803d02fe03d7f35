/**
 * Whether this process can use the KVM device and, where it cannot, what helps on
 * this host.
 *
 * @module
 */

import { type FileStatus, fileStatus } from "../../ffi/file_status.ts";
import { close, O_CLOEXEC, O_RDWR, open, SystemError } from "../../ffi/libc.ts";
import { KVM_DEVICE } from "../kvm/kvm.ts";
import { explainOpenFailure, KvmUnavailableError } from "../kvm/unavailable.ts";
import { type CpuFacts, type HostFiles, type KvmModule, vendorModule } from "./facts.ts";

/** The KVM device as this process finds it. */
export interface KvmDevice {
  readonly path: string;
  readonly exists: boolean;
  /** Its rights, owner and group: `0660 root:kvm`. */
  readonly access?: string;
  /** Why it cannot be opened for reading and writing: the errno's name. */
  readonly errno?: string;
  /** The problem and the remedy, where it cannot be opened. */
  readonly openFailure?: KvmUnavailableError;
}

/** What a remedy depends on. */
export interface RemedyFacts {
  readonly module: KvmModule;
  readonly cpu: CpuFacts | undefined;
  /** The device's rights and group, where it exists. */
  readonly status: FileStatus | undefined;
  /** The group's name, where it has one. */
  readonly group: string | undefined;
}

/** Examines the device, and opens it once. */
export function inspectDevice(
  path: string,
  files: HostFiles,
  module: KvmModule,
  cpu: CpuFacts | undefined,
): KvmDevice {
  const status = statusOf(path);
  const owner = status && accountName(files, "/etc/passwd", status.uid);
  const group = status && accountName(files, "/etc/group", status.gid);
  const access = status &&
    `${status.rights.toString(8).padStart(4, "0")} ${owner ?? status.uid}:${group ?? status.gid}`;
  const known = { path, ...(access === undefined ? {} : { access }) };
  try {
    close(open(path, O_RDWR | O_CLOEXEC));
    return { ...known, exists: true };
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return {
      ...known,
      exists: error.code !== "ENOENT" && error.code !== "ENOTDIR",
      errno: error.code,
      openFailure: explainHere(path, error, { module, cpu, status, group }),
    };
  }
}

/** Why the device cannot be opened, and what helps on this host. */
export function explainHere(
  path: string,
  error: SystemError,
  facts: RemedyFacts,
): KvmUnavailableError {
  const general = explainOpenFailure(path, error);
  switch (error.code) {
    case "ENOENT":
    case "ENOTDIR":
      if (path !== KVM_DEVICE) {
        return new KvmUnavailableError(general.problem, `use ${KVM_DEVICE}`, {
          kind: "missing_device",
        });
      }
      if (facts.module.miscMinor !== undefined) {
        return new KvmUnavailableError(
          `${path} is missing although this kernel has KVM`,
          `start the container with --device ${path}, or outside one make the device: ` +
            `sudo mknod ${path} c 10 ${facts.module.miscMinor}`,
        );
      }
      return new KvmUnavailableError(
        `${path} is missing, and no KVM module is loaded`,
        loadModule(facts.cpu),
      );
    case "ENXIO":
    case "ENODEV":
      return new KvmUnavailableError(general.problem, loadModule(facts.cpu));
    case "EPERM":
      return new KvmUnavailableError(
        `this process may not use ${path}, whatever its rights: a container's device rules`,
        `start the container with --device ${path}`,
      );
    case "EACCES":
      return new KvmUnavailableError(general.problem, grantAccess(path, facts));
    default:
      return general;
  }
}

function loadModule(cpu: CpuFacts | undefined): string {
  const module = vendorModule(cpu?.vendor);
  const load = module ? `sudo modprobe ${module}` : "sudo modprobe kvm_intel, or kvm_amd";
  if (cpu === undefined || cpu.virtualization !== undefined) return load;
  return cpu.underHypervisor
    ? `switch nested virtualization on in the hypervisor that runs this machine, then ${load}`
    : `switch virtualization on in the firmware, then ${load}`;
}

const GROUP_MAY_READ_AND_WRITE = 0o060;

function grantAccess(path: string, { status, group }: RemedyFacts): string {
  const acl = `sudo setfacl -m "u:$USER:rw" ${path}`;
  const byGroup = status && status.gid !== 0 && group !== undefined &&
    (status.rights & GROUP_MAY_READ_AND_WRITE) === GROUP_MAY_READ_AND_WRITE;
  if (byGroup) {
    return `join its group (sudo usermod -aG ${group} "$USER", then log in again), or until the ` +
      `next boot: ${acl}`;
  }
  return `its group has no access to it either, so grant it to yourself: ${acl}`;
}

function statusOf(path: string): FileStatus | undefined {
  try {
    return fileStatus(path);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return undefined;
  }
}

/** The name of a user or group id: `name:password:id:…`, passwd(5) and group(5). */
function accountName(files: HostFiles, path: string, id: number): string | undefined {
  try {
    const entries = files.read(path).split("\n").map((line) => line.split(":"));
    return entries.find((fields) => fields[2] === String(id))?.[0];
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return undefined;
  }
}

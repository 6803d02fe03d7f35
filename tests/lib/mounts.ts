/**
 * Commands that see other file systems than the rest of the machine, in a mount namespace.
 *
 * @module
 */

/** Mounts a tmpfs with these options on a folder and runs a command. */
export function onTmpfs(options: string, folder: string, ...command: string[]): string[] {
  return mounted(`mount -t tmpfs -o ${options} tmpfs "$1"`, folder, ...command);
}

/** Makes a folder read-only and runs a command. */
export function onReadOnly(folder: string, ...command: string[]): string[] {
  return mounted('mount --bind "$1" "$1" && mount -o remount,ro,bind "$1"', folder, ...command);
}

/** Makes a folder empty, or a file, and runs a command. */
export function without(path: string, ...command: string[]): string[] {
  return Deno.statSync(path).isDirectory
    ? onTmpfs("ro", path, ...command)
    : mounted('mount --bind /dev/null "$1"', path, ...command);
}

function mounted(mount: string, path: string, ...command: string[]): string[] {
  return ["/usr/bin/unshare", "-rm", "/bin/sh", "-c", `${mount} && shift && exec "$@"`, "sh", path]
    .concat(command);
}

/** Whether this user may mount in a namespace. */
export async function canMount(): Promise<boolean> {
  const dir = Deno.makeTempDirSync();
  const [command, ...args] = onTmpfs("size=64k", dir, "true");
  try {
    return (await new Deno.Command(command!, { args, stderr: "null" }).output()).success;
  } catch {
    return false;
  } finally {
    Deno.removeSync(dir);
  }
}

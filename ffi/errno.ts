/**
 * Linux error numbers (the generic `<asm-generic/errno.h>`, which x86-64 uses):
 * their names, and their texts as `strerror(3)` of the GNU C library gives them.
 *
 * @module
 */

/** One error number's name and text. */
export interface Errno {
  /** The C macro: `EFAULT`. */
  readonly name: string;
  /** The text of `strerror(3)`: `Bad address`. */
  readonly text: string;
}

/**
 * The known error numbers, 1 to 133. 41 and 58 are not in use; where two macros
 * share a number (`EWOULDBLOCK`, `EDEADLOCK`, `ENOTSUP`) the older name stands.
 */
export const ERRNO: ReadonlyMap<number, Errno> = new Map([
  [1, { name: "EPERM", text: "Operation not permitted" }],
  [2, { name: "ENOENT", text: "No such file or directory" }],
  [3, { name: "ESRCH", text: "No such process" }],
  [4, { name: "EINTR", text: "Interrupted system call" }],
  [5, { name: "EIO", text: "Input/output error" }],
  [6, { name: "ENXIO", text: "No such device or address" }],
  [7, { name: "E2BIG", text: "Argument list too long" }],
  [8, { name: "ENOEXEC", text: "Exec format error" }],
  [9, { name: "EBADF", text: "Bad file descriptor" }],
  [10, { name: "ECHILD", text: "No child processes" }],
  [11, { name: "EAGAIN", text: "Resource temporarily unavailable" }],
  [12, { name: "ENOMEM", text: "Cannot allocate memory" }],
  [13, { name: "EACCES", text: "Permission denied" }],
  [14, { name: "EFAULT", text: "Bad address" }],
  [15, { name: "ENOTBLK", text: "Block device required" }],
  [16, { name: "EBUSY", text: "Device or resource busy" }],
  [17, { name: "EEXIST", text: "File exists" }],
  [18, { name: "EXDEV", text: "Invalid cross-device link" }],
  [19, { name: "ENODEV", text: "No such device" }],
  [20, { name: "ENOTDIR", text: "Not a directory" }],
  [21, { name: "EISDIR", text: "Is a directory" }],
  [22, { name: "EINVAL", text: "Invalid argument" }],
  [23, { name: "ENFILE", text: "Too many open files in system" }],
  [24, { name: "EMFILE", text: "Too many open files" }],
  [25, { name: "ENOTTY", text: "Inappropriate ioctl for device" }],
  [26, { name: "ETXTBSY", text: "Text file busy" }],
  [27, { name: "EFBIG", text: "File too large" }],
  [28, { name: "ENOSPC", text: "No space left on device" }],
  [29, { name: "ESPIPE", text: "Illegal seek" }],
  [30, { name: "EROFS", text: "Read-only file system" }],
  [31, { name: "EMLINK", text: "Too many links" }],
  [32, { name: "EPIPE", text: "Broken pipe" }],
  [33, { name: "EDOM", text: "Numerical argument out of domain" }],
  [34, { name: "ERANGE", text: "Numerical result out of range" }],
  [35, { name: "EDEADLK", text: "Resource deadlock avoided" }],
  [36, { name: "ENAMETOOLONG", text: "File name too long" }],
  [37, { name: "ENOLCK", text: "No locks available" }],
  [38, { name: "ENOSYS", text: "Function not implemented" }],
  [39, { name: "ENOTEMPTY", text: "Directory not empty" }],
  [40, { name: "ELOOP", text: "Too many levels of symbolic links" }],
  [42, { name: "ENOMSG", text: "No message of desired type" }],
  [43, { name: "EIDRM", text: "Identifier removed" }],
  [44, { name: "ECHRNG", text: "Channel number out of range" }],
  [45, { name: "EL2NSYNC", text: "Level 2 not synchronized" }],
  [46, { name: "EL3HLT", text: "Level 3 halted" }],
  [47, { name: "EL3RST", text: "Level 3 reset" }],
  [48, { name: "ELNRNG", text: "Link number out of range" }],
  [49, { name: "EUNATCH", text: "Protocol driver not attached" }],
  [50, { name: "ENOCSI", text: "No CSI structure available" }],
  [51, { name: "EL2HLT", text: "Level 2 halted" }],
  [52, { name: "EBADE", text: "Invalid exchange" }],
  [53, { name: "EBADR", text: "Invalid request descriptor" }],
  [54, { name: "EXFULL", text: "Exchange full" }],
  [55, { name: "ENOANO", text: "No anode" }],
  [56, { name: "EBADRQC", text: "Invalid request code" }],
  [57, { name: "EBADSLT", text: "Invalid slot" }],
  [59, { name: "EBFONT", text: "Bad font file format" }],
  [60, { name: "ENOSTR", text: "Device not a stream" }],
  [61, { name: "ENODATA", text: "No data available" }],
  [62, { name: "ETIME", text: "Timer expired" }],
  [63, { name: "ENOSR", text: "Out of streams resources" }],
  [64, { name: "ENONET", text: "Machine is not on the network" }],
  [65, { name: "ENOPKG", text: "Package not installed" }],
  [66, { name: "EREMOTE", text: "Object is remote" }],
  [67, { name: "ENOLINK", text: "Link has been severed" }],
  [68, { name: "EADV", text: "Advertise error" }],
  [69, { name: "ESRMNT", text: "Srmount error" }],
  [70, { name: "ECOMM", text: "Communication error on send" }],
  [71, { name: "EPROTO", text: "Protocol error" }],
  [72, { name: "EMULTIHOP", text: "Multihop attempted" }],
  [73, { name: "EDOTDOT", text: "RFS specific error" }],
  [74, { name: "EBADMSG", text: "Bad message" }],
  [75, { name: "EOVERFLOW", text: "Value too large for defined data type" }],
  [76, { name: "ENOTUNIQ", text: "Name not unique on network" }],
  [77, { name: "EBADFD", text: "File descriptor in bad state" }],
  [78, { name: "EREMCHG", text: "Remote address changed" }],
  [79, { name: "ELIBACC", text: "Can not access a needed shared library" }],
  [80, { name: "ELIBBAD", text: "Accessing a corrupted shared library" }],
  [81, { name: "ELIBSCN", text: ".lib section in a.out corrupted" }],
  [82, { name: "ELIBMAX", text: "Attempting to link in too many shared libraries" }],
  [83, { name: "ELIBEXEC", text: "Cannot exec a shared library directly" }],
  [84, { name: "EILSEQ", text: "Invalid or incomplete multibyte or wide character" }],
  [85, { name: "ERESTART", text: "Interrupted system call should be restarted" }],
  [86, { name: "ESTRPIPE", text: "Streams pipe error" }],
  [87, { name: "EUSERS", text: "Too many users" }],
  [88, { name: "ENOTSOCK", text: "Socket operation on non-socket" }],
  [89, { name: "EDESTADDRREQ", text: "Destination address required" }],
  [90, { name: "EMSGSIZE", text: "Message too long" }],
  [91, { name: "EPROTOTYPE", text: "Protocol wrong type for socket" }],
  [92, { name: "ENOPROTOOPT", text: "Protocol not available" }],
  [93, { name: "EPROTONOSUPPORT", text: "Protocol not supported" }],
  [94, { name: "ESOCKTNOSUPPORT", text: "Socket type not supported" }],
  [95, { name: "EOPNOTSUPP", text: "Operation not supported" }],
  [96, { name: "EPFNOSUPPORT", text: "Protocol family not supported" }],
  [97, { name: "EAFNOSUPPORT", text: "Address family not supported by protocol" }],
  [98, { name: "EADDRINUSE", text: "Address already in use" }],
  [99, { name: "EADDRNOTAVAIL", text: "Cannot assign requested address" }],
  [100, { name: "ENETDOWN", text: "Network is down" }],
  [101, { name: "ENETUNREACH", text: "Network is unreachable" }],
  [102, { name: "ENETRESET", text: "Network dropped connection on reset" }],
  [103, { name: "ECONNABORTED", text: "Software caused connection abort" }],
  [104, { name: "ECONNRESET", text: "Connection reset by peer" }],
  [105, { name: "ENOBUFS", text: "No buffer space available" }],
  [106, { name: "EISCONN", text: "Transport endpoint is already connected" }],
  [107, { name: "ENOTCONN", text: "Transport endpoint is not connected" }],
  [108, { name: "ESHUTDOWN", text: "Cannot send after transport endpoint shutdown" }],
  [109, { name: "ETOOMANYREFS", text: "Too many references: cannot splice" }],
  [110, { name: "ETIMEDOUT", text: "Connection timed out" }],
  [111, { name: "ECONNREFUSED", text: "Connection refused" }],
  [112, { name: "EHOSTDOWN", text: "Host is down" }],
  [113, { name: "EHOSTUNREACH", text: "No route to host" }],
  [114, { name: "EALREADY", text: "Operation already in progress" }],
  [115, { name: "EINPROGRESS", text: "Operation now in progress" }],
  [116, { name: "ESTALE", text: "Stale file handle" }],
  [117, { name: "EUCLEAN", text: "Structure needs cleaning" }],
  [118, { name: "ENOTNAM", text: "Not a XENIX named type file" }],
  [119, { name: "ENAVAIL", text: "No XENIX semaphores available" }],
  [120, { name: "EISNAM", text: "Is a named type file" }],
  [121, { name: "EREMOTEIO", text: "Remote I/O error" }],
  [122, { name: "EDQUOT", text: "Disk quota exceeded" }],
  [123, { name: "ENOMEDIUM", text: "No medium found" }],
  [124, { name: "EMEDIUMTYPE", text: "Wrong medium type" }],
  [125, { name: "ECANCELED", text: "Operation canceled" }],
  [126, { name: "ENOKEY", text: "Required key not available" }],
  [127, { name: "EKEYEXPIRED", text: "Key has expired" }],
  [128, { name: "EKEYREVOKED", text: "Key has been revoked" }],
  [129, { name: "EKEYREJECTED", text: "Key was rejected by service" }],
  [130, { name: "EOWNERDEAD", text: "Owner died" }],
  [131, { name: "ENOTRECOVERABLE", text: "State not recoverable" }],
  [132, { name: "ERFKILL", text: "Operation not possible due to RF-kill" }],
  [133, { name: "EHWPOISON", text: "Memory page has hardware error" }],
]);

/** Operation not permitted: of calls, by a sandbox. */
export const EPERM = 1;
/** The thread was interrupted by a signal. */
export const EINTR = 4;
/** I/O error; from a pseudo-terminal: its other end is closed. */
export const EIO = 5;
/** No such device or address; of a named pipe: it has no reader. */
export const ENXIO = 6;
/** Try again. */
export const EAGAIN = 11;
/** Out of memory, or of mappings. */
export const ENOMEM = 12;
/** Bad address: KVM cannot map what the guest accessed. */
export const EFAULT = 14;
/** Invalid argument. */
export const EINVAL = 22;
/** The reader has closed its end. */
export const EPIPE = 32;
/** The kernel does not have the call, or a sandbox says so. */
export const ENOSYS = 38;
/** The peer reset the connection. */
export const ECONNRESET = 104;
/** As `EFAULT`, for a host page with a hardware memory error. */
export const EHWPOISON = 133;

/**
 * The name of an error number, or `errno N` where Linux has none.
 *
 * @example
 * ```ts
 * import { errnoName } from "./errno.ts";
 * console.log(errnoName(14)); // EFAULT
 * ```
 */
export function errnoName(errno: number): string {
  return ERRNO.get(errno)?.name ?? `errno ${errno}`;
}

/**
 * The text of an error number, or `Unknown error N` where Linux has none.
 *
 * @example
 * ```ts
 * import { errnoText } from "./errno.ts";
 * console.log(errnoText(14)); // Bad address
 * ```
 */
export function errnoText(errno: number): string {
  return ERRNO.get(errno)?.text ?? `Unknown error ${errno}`;
}

/**
 * Reads the output of a process in bounded memory, however small its pieces are.
 *
 * @module
 */

const BUFFER_BYTES = 64 << 10;

/** The pieces of a stream. Each is good until the next, which takes the same buffer. */
export async function* piecesOf(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const reader = stream.getReader({ mode: "byob" });
  try {
    let buffer = new ArrayBuffer(BUFFER_BYTES);
    for (;;) {
      const { value, done } = await reader.read(new Uint8Array(buffer));
      if (done) return;
      yield value;
      buffer = value.buffer;
    }
  } finally {
    reader.releaseLock();
  }
}

/**
 * Reads a stream to its end, and keeps the beginning.
 *
 * @param most how many bytes are kept
 * @param onTooMuch called whenever there are more
 */
export async function readUpTo(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  most: number,
  onTooMuch: () => void,
): Promise<Uint8Array<ArrayBuffer>> {
  let kept = new Uint8Array(Math.min(most, BUFFER_BYTES));
  let size = 0;
  for await (const piece of piecesOf(stream)) {
    const fitting = piece.subarray(0, most - size);
    if (size + fitting.length > kept.length) {
      const larger = new Uint8Array(Math.min(most, 2 * (size + fitting.length)));
      larger.set(kept.subarray(0, size));
      kept = larger;
    }
    kept.set(fitting, size);
    size += fitting.length;
    if (fitting.length < piece.length) onTooMuch();
  }
  return kept.slice(0, size);
}

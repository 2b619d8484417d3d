// Many files as one zip, without compression: pictures are compressed already. Its bytes stay on the disk until they are sent.
import { Problem } from "./api.js";

const MOST_BYTES = 2 ** 32 - 1;
const MOST_FILES = 65_534;
const UTF8_NAMES = 0x0800;
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? (byte >>> 1) ^ 0xedb88320 : byte >>> 1;
  return byte;
});

/** @param {Uint8Array} bytes */
function crc32(bytes) {
  let crc = -1;
  for (let at = 0; at < bytes.length; at++) crc = (crc >>> 8) ^ TABLE[(crc ^ bytes[at]) & 0xff];
  return ~crc >>> 0;
}

/** Numbers of 2 or 4 bytes, least byte first: `[[2, 10], [4, 0xffffffff]]`. @param {[2 | 4, number][]} fields */
function record(fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [size]) => sum + size, 0)));
  let at = 0;
  for (const [size, value] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return view.buffer;
}

/**
 * @param {import("./uploads.js").Chosen[]} files
 * @param {string} name of the zip
 * @param {(share: number) => void} [onProgress] from 0 to 1
 * @param {AbortSignal} [signal]
 * @returns {Promise<File>}
 */
export async function zip(files, name, onProgress = () => {}, signal) {
  const bytes = files.reduce((sum, { file, path }) => sum + file.size + 2 * path.length * 3 + 76, 22);
  if (bytes > MOST_BYTES || files.length > MOST_FILES) throw new Problem(0, { detail: "These are more than 4 GB or 65,534 files.", hint: "Send them as several batches, or as a zip of your own." });
  const [parts, directory] = [/** @type {BlobPart[]} */ ([]), /** @type {BlobPart[]} */ ([])];
  let at = 0;
  for (const [index, { file, path }] of files.entries()) {
    signal?.throwIfAborted();
    const encoded = new TextEncoder().encode(path);
    const crc = crc32(new Uint8Array(await file.arrayBuffer()));
    /** @type {[2 | 4, number][]} version, flags, stored, time, date, checksum, sizes, lengths of name and extra */
    const facts = [[2, 20], [2, UTF8_NAMES], [2, 0], [2, 0], [2, 0x21], [4, crc], [4, file.size], [4, file.size], [2, encoded.length], [2, 0]];
    const head = record([[4, 0x04034b50], ...facts]);
    parts.push(head, encoded, file);
    directory.push(record([[4, 0x02014b50], [2, 20], ...facts, [2, 0], [2, 0], [2, 0], [4, 0], [4, at]]), encoded);
    at += head.byteLength + encoded.length + file.size;
    onProgress((index + 1) / files.length);
  }
  const size = new Blob(directory).size;
  const end = record([[4, 0x06054b50], [2, 0], [2, 0], [2, files.length], [2, files.length], [4, size], [4, at], [2, 0]]);
  return new File([...parts, ...directory, end], name, { type: "application/zip", lastModified: Date.now() });
}

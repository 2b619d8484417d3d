// Many files as one tar, which has no compression: pictures are compressed already. Their bytes stay on the disk until
// they are sent.

const BLOCK = 512;

/**
 * The header of a file in the format "ustar".
 * @param {Uint8Array<ArrayBuffer>} name of at most 100 bytes @param {number} size @param {string} type "0": a file, "L": the long name of the next
 */
function header(name, size, type) {
  const block = new Uint8Array(BLOCK);
  const put = (/** @type {number} */ at, /** @type {string} */ text) => block.set(new TextEncoder().encode(text), at);
  block.set(name.subarray(0, 100));
  put(100, "0000644\0");
  put(124, `${size.toString(8).padStart(11, "0")}\0`);
  put(136, "00000000000\0");
  put(148, "        "); // the checksum is made of the block with these
  put(156, type);
  put(257, "ustar\x0000");
  put(148, `${block.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, "0")}\0 `);
  return block;
}

/** @param {number} size of what is padded to whole blocks */
const padding = (size) => new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);

/** @param {import("./uploads.js").Chosen[]} files @param {string} name of the tar */
export function tar(files, name) {
  const parts = files.flatMap(({ file, path }) => {
    const encoded = new TextEncoder().encode(path);
    const long = encoded.length > 100 ? [header(new TextEncoder().encode("././@LongLink"), encoded.length, "L"), encoded, padding(encoded.length)] : [];
    return [...long, header(encoded, file.size, "0"), file, padding(file.size)];
  });
  return new File([...parts, new Uint8Array(2 * BLOCK)], name, { type: "application/x-tar", lastModified: Date.now() });
}

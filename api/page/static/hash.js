// SHA-256 of files, in a worker.

/** @type {Worker | null} */
let worker = null;
let last = 0;
/** @type {Map<number, {resolve: (sha256: string) => void, reject: (error: Error) => void}>} */
const asked = new Map();

/**
 * @param {Blob} blob of some megabytes; it is held in memory
 * @returns {Promise<string>} in hex
 * @throws {Error} it cannot be read
 */
export function hash(blob) {
  if (!worker) {
    worker = new Worker("/static/sha256.js");
    worker.addEventListener("message", ({ data: { id, sha256, error } }) => {
      if (error) asked.get(id)?.reject(new Error(error));
      else asked.get(id)?.resolve(sha256);
      asked.delete(id);
    });
  }
  const id = ++last;
  worker.postMessage({ id, blob });
  return new Promise((resolve, reject) => asked.set(id, { resolve, reject }));
}

/** The header that says which bytes a body has (RFC 9530). @param {Blob} blob */
export async function contentDigest(blob) {
  const bytes = (await hash(blob)).match(/../g) ?? [];
  return `sha-256=:${btoa(String.fromCharCode(...bytes.map((byte) => parseInt(byte, 16))))}:`;
}

// Files of a person: what was dropped or chosen, folders included, and large files sent in parts that can be resumed.
import { Problem, call, send } from "./api.js";
import { contentDigest } from "./hash.js";

/** @typedef {{file: File, path: string}} Chosen a file with its place in the folder that was chosen */

const AT_ONCE = 3;
const TRIES = 8;
const PICTURES = /\.(jpe?g|jfif|png|webp|gif|bmp|tiff?|heic|heif|avif)$/i;

/** @param {Chosen} chosen */
export const isPicture = ({ file }) => file.type.startsWith("image/") || PICTURES.test(file.name);

/** @param {File} file */
export const isArchive = (file) => /\.(zip|tar|tar\.gz|tgz)$/i.test(file.name);

/**
 * The files of a file field.
 * @param {HTMLInputElement} input
 * @returns {Chosen[]}
 */
export function chosenIn(input) {
  return [...(input.files ?? [])].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
}

/**
 * The files of a drop or paste, with those in folders.
 * @param {DataTransfer | null} transfer
 * @returns {Promise<Chosen[]>}
 */
export async function dropped(transfer) {
  const entries = [...(transfer?.items ?? [])].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  return (await Promise.all(entries.map((entry) => filesIn(entry)))).flat();
}

/** @param {any} entry a FileSystemEntry, or a file where the browser has none @returns {Promise<Chosen[]>} */
async function filesIn(entry) {
  if (entry instanceof File) return [{ file: entry, path: entry.name }];
  if (entry?.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ file, path: entry.fullPath.replace(/^\//, "") || file.name }];
  }
  if (!entry) return [];
  const reader = entry.createReader();
  const found = [];
  for (let some; (some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject))).length; )
    found.push(...(await Promise.all(some.map(filesIn))).flat()); // a hundred at a time; all at once would block the page
  return found;
}

/**
 * Send a file in parts by /v1/uploads. A lost connection is waited for; a file that was begun before continues.
 * @param {File} file
 * @param {(share: number) => void} [onProgress] from 0 to 1
 * @param {AbortSignal} [signal]
 * @returns {Promise<string>} the upload's id
 */
export async function upload(file, onProgress = () => {}, signal) {
  const key = `upload ${file.name} ${file.size} ${file.lastModified}`;
  const begun = (await resume(key)) ?? (await call("/v1/uploads", { json: { name: file.name.slice(0, 200), bytes: file.size }, signal }));
  localStorage.setItem(key, begun.id);
  const there = new Set(begun.parts.map((/** @type {any} */ part) => part.number));
  const missing = Array.from({ length: begun.parts_total }, (_, index) => index + 1).filter((number) => !there.has(number));
  let confirmed = begun.bytes_confirmed;
  onProgress(confirmed / file.size);
  const lane = async () => {
    for (let number; (number = missing.shift()); ) {
      const part = file.slice((number - 1) * begun.part_bytes, number * begun.part_bytes);
      await sendPart(`/v1/uploads/${begun.id}/parts/${number}`, part, signal);
      confirmed += part.size;
      onProgress(confirmed / file.size);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  if (begun.status === "open") await call(`/v1/uploads/${begun.id}/complete`, { method: "POST", signal });
  localStorage.removeItem(key);
  return begun.id;
}

/** @param {string} key */
async function resume(key) {
  const id = localStorage.getItem(key);
  return id && call(`/v1/uploads/${id}`).catch(() => null); // it has expired
}

/** @param {string} path @param {Blob} part @param {AbortSignal} [signal] */
async function sendPart(path, part, signal) {
  const headers = { "Content-Type": "application/octet-stream", "Content-Digest": await contentDigest(part) };
  for (let tried = 1; ; tried++) {
    try {
      return await send(path, { method: "PUT", body: part, headers, signal });
    } catch (error) {
      const passing = error instanceof Problem && (!error.status || error.status >= 500 || error.status === 429 || error.code === "digest_mismatch");
      if (!passing || tried === TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, Math.min(2 ** tried, 30) * 1000));
    }
  }
}

// Files of a person: what was dropped or chosen, folders included, and large files sent in parts that can be resumed.
import { Problem } from "./api.js";
import { contentDigest } from "./hash.js";
import { UNREADABLE } from "./patience.js";

/** @typedef {{file: File, path: string}} Chosen a file with its place in the folder that was chosen */

const AT_ONCE = 3;
const PICTURES = /\.(jpe?g|jfif|png|webp|gif|bmp|tiff?|heic|heif|avif)$/i;

/** @param {Chosen} chosen */
export const isPicture = ({ file }) => file.type.startsWith("image/") || PICTURES.test(file.name);

/** Of nothing that can be sent. */
export const NO_PICTURE = new Problem(0, { detail: "There is no picture among these files, or none of a size that the service takes.", hint: "Choose pictures, a folder of them, or a zip." });

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
  const all = Promise.all(entries.map((entry) => filesIn(entry)));
  return (await all.catch(() => Promise.reject(new Problem(0, { detail: "What was dropped cannot be read.", hint: "Drop it again." })))).flat();
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
 * Send a file in parts by /v1/uploads. A file that was begun before continues.
 * @param {File} file
 * @param {import("./patience.js").Patience} patience asks
 * @param {(share: number) => void} [onProgress] from 0 to 1
 * @returns {Promise<string>} the upload's id
 */
export async function upload(file, patience, onProgress = () => {}) {
  const key = `upload ${file.name} ${file.size} ${file.lastModified}`;
  const before = localStorage.getItem(key);
  const open = before && (await patience.call(`/v1/uploads/${before}`).catch(() => null)); // it may have expired
  const begun = open || (await patience.call("/v1/uploads", { json: { name: file.name.slice(0, 200), bytes: file.size } }));
  localStorage.setItem(key, begun.id);
  const there = new Set(begun.parts.map((/** @type {any} */ part) => part.number));
  const missing = Array.from({ length: begun.parts_total }, (_, index) => index + 1).filter((number) => !there.has(number));
  let confirmed = begun.bytes_confirmed;
  onProgress(confirmed / file.size);
  const lane = async () => {
    for (let number; (number = missing.shift()); ) {
      const body = file.slice((number - 1) * begun.part_bytes, number * begun.part_bytes);
      const digest = await contentDigest(body).catch(() => Promise.reject(UNREADABLE));
      const headers = { "Content-Type": "application/octet-stream", "Content-Digest": digest };
      await patience.call(`/v1/uploads/${begun.id}/parts/${number}`, { method: "PUT", body, headers });
      confirmed += body.size;
      onProgress(confirmed / file.size);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  if (begun.status === "open") await patience.call(`/v1/uploads/${begun.id}/complete`, { method: "POST" });
  localStorage.removeItem(key);
  return begun.id;
}

// Sends pictures and archives into a data set: what it has already is not sent, what a lost connection cut is sent again.
import { Problem, ended } from "./api.js";
import { hash } from "./hash.js";
import { Patience } from "./patience.js";
import { isArchive, isPicture, upload } from "./uploads.js";

/** @typedef {import("./uploads.js").Chosen} Chosen */
/** @typedef {{name: string, verdict: "accepted" | "duplicate" | "rejected", error?: {title?: string, detail?: string} | null}} Verdict */
/** @typedef {{label: string | null, labels: string[] | null, split: string | null}} Placement what a folder says */

const FILES = 100;
const BYTES = 16 * 2 ** 20;
const PARALLEL = 3;
const BLAMES_A_FILE = [413, 415, 422];
const LEFT_BEHIND = /(^|\/)(\.[^/]*|__macosx|thumbs\.db|ehthumbs\.db|desktop\.ini|@eadir)(\/|$)/i;

/** Sort what was dropped, by names and sizes alone. @param {Chosen[]} chosen @param {number} largest bytes that a picture may have */
export function sort(chosen, largest) {
  const kept = chosen.filter(({ path }) => !LEFT_BEHIND.test(path));
  const archives = kept.filter(({ file }) => isArchive(file));
  const pictures = kept.filter((each) => isPicture(each) && !each.file.type.includes("svg"));
  const known = new Set([...archives, ...pictures]);
  const fits = (/** @type {Chosen} */ { file }) => file.size <= largest;
  return { archives, others: kept.filter((each) => !known.has(each)), pictures: pictures.filter(fits), tooLarge: pictures.filter((each) => !fits(each)) };
}

/** One run of sending. `change` is called whenever something changed. */
export class Sending extends Patience {
  /** @type {Verdict[]} */ verdicts = [];
  total = 0;
  /** How far an archive is, once one is sent. @type {{text: string, share: number} | null} */ archive = null;

  /** @param {string} dataset id @param {string} kind @param {() => void} change */
  constructor(dataset, kind, change) {
    super(change);
    this.dataset = dataset;
    this.kind = kind;
  }

  /** @param {Verdict[]} verdicts */
  #settle(verdicts) {
    this.verdicts.push(...verdicts);
    this.change();
  }

  /** @param {Chosen} found @param {string} title */
  refuse(found, title) {
    this.#settle([{ name: found.path, verdict: "rejected", error: { title } }]);
  }

  /** @param {Chosen[]} pictures @param {(path: string) => Placement | undefined} place */
  async send(pictures, place) {
    const running = new Set();
    const seen = new Set();
    for (let at = 0; at < pictures.length && !this.cancelled; at += FILES) {
      const missing = await this.#missing(pictures.slice(at, at + FILES), place, seen);
      for (const portion of portions(missing, place)) {
        while (running.size >= PARALLEL) await Promise.race(running);
        if (this.cancelled) break;
        const sent = this.#post(portion, place).finally(() => running.delete(sent));
        running.add(sent);
      }
    }
    await Promise.all(running);
  }

  /** @param {Chosen[]} files @param {(path: string) => Placement | undefined} place @param {Set<string>} seen */
  async #missing(files, place, seen) {
    /** @type {[Chosen, string][]} */
    const hashed = [];
    for (const found of files) {
      const sha256 = await hash(found.file).catch(() => null);
      if (sha256) hashed.push([found, sha256]);
      else this.refuse(found, "The file cannot be read");
    }
    if (!hashed.length || this.cancelled) return [];
    const { known, labels = {} } = await this.call(`/v1/datasets/${this.dataset}/images/check`, { json: { sha256: hashed.map(([, sha256]) => sha256) } });
    const there = new Set(known);
    const missing = hashed.filter(([{ path }, sha256]) => {
      const brings = place(path)?.labels ?? [];
      const has = labels[sha256];
      const adds = there.has(sha256) && brings.length > 0 && (has === null || brings.some((label) => has && !has.includes(label)));
      const again = this.kind === "single_label" && seen.has(sha256);
      seen.add(sha256);
      return !again && (!there.has(sha256) || adds);
    });
    const sent = new Set(missing.map(([found]) => found));
    this.#settle(files.filter((found) => !sent.has(found) && hashed.some(([each]) => each === found)).map(({ path }) => ({ name: path, verdict: "duplicate" })));
    return missing.map(([found]) => found);
  }

  /** Send one request; where the service blames a file, halve it until that file is alone. @param {Chosen[]} files @param {(path: string) => Placement | undefined} place @returns {Promise<void>} */
  async #post(files, place) {
    const body = new FormData();
    for (const { file, path } of files) {
      const placed = place(path);
      body.append("files", file, path);
      body.append("labels", this.kind === "multi_label" && placed?.labels ? JSON.stringify(placed.labels) : (placed?.label ?? ""));
    }
    const split = place(files[0].path)?.split;
    if (split) body.append("split", split);
    try {
      this.#settle((await this.call(`/v1/datasets/${this.dataset}/images`, { body })).files);
    } catch (error) {
      if (this.cancelled) return;
      if (!(error instanceof Problem) || !BLAMES_A_FILE.includes(error.status)) throw error;
      if (files.length === 1) return this.refuse(files[0], error.message);
      const middle = files.length >> 1;
      await this.#post(files.slice(0, middle), place);
      await this.#post(files.slice(middle), place);
    }
  }

  /**
   * Send an archive in parts, those that are missing, and import it.
   * @param {File} file
   * @returns {Promise<{accepted: number, duplicates: number, rejected: number, errors: {code: string, images: number}[], job: any}>}
   */
  async sendArchive(file) {
    const report = (/** @type {string} */ text, /** @type {number} */ share) => {
      this.archive = { text: `${text} ${file.name}: ${Math.floor(100 * share)}%`, share };
      this.change();
    };
    const id = await upload(file, this, (share) => report("Sending", share));
    let job = await this.call(`/v1/datasets/${this.dataset}/imports`, { json: { upload: id }, headers: { "Idempotency-Key": id } });
    job = await ended(job, ({ progress }) => report("Importing", progress.fraction), this);
    return { ...(await this.call(`/v1/imports/${job.id}/summary`)), job };
  }
}

/** Cut into requests of one split each. @param {Chosen[]} files @param {(path: string) => Placement | undefined} place */
function* portions(files, place) {
  for (const group of Map.groupBy(files, ({ path }) => place(path)?.split ?? "").values()) {
    let portion = /** @type {Chosen[]} */ ([]);
    let size = 0;
    for (const found of group) {
      if (portion.length && (portion.length === FILES || size + found.file.size > BYTES)) {
        yield portion;
        [portion, size] = [[], 0];
      }
      portion.push(found);
      size += found.file.size;
    }
    if (portion.length) yield portion;
  }
}

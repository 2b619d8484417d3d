// A list of /v1 that is read page by page.
import { call } from "./api.js";

const PAGE = 200;

export class PagedList {
  /** @type {any[]} what was read so far */ entries = [];
  /** Whether there is more to read. */
  more = false;
  /** @type {string | null} */ #cursor = null;
  /** @type {Promise<void> | null} */ #loading = null;
  #round = 0;

  /** @param {any[]} entries a list of one's own */
  set(entries) {
    this.#round += 1;
    this.entries = entries;
    this.more = false;
  }

  /**
   * Read from the start.
   * @param {string} source @param {number} until at least so many, if there are @param {() => unknown} ready is waited for
   * @returns {Promise<boolean>} false where a newer call has overtaken this one
   * @throws {Problem}
   */
  async read(source, until, ready) {
    const round = ++this.#round;
    /** @type {any[]} */
    const entries = [];
    let cursor = null;
    do {
      const page = await get(source, cursor);
      if (round !== this.#round) return false;
      entries.push(...page.data);
      cursor = page.next_cursor;
    } while (cursor && entries.length < until);
    await ready();
    if (round !== this.#round) return false;
    [this.entries, this.#cursor, this.more] = [entries, cursor, cursor !== null];
    return true;
  }

  /** Read the next page. @param {string} source @returns {Promise<void>} @throws {Problem} */
  next(source) {
    const round = this.#round;
    this.#loading ??= (async () => {
      try {
        const page = await get(source, this.#cursor);
        if (round !== this.#round) return;
        this.entries.push(...page.data);
        this.#cursor = page.next_cursor;
        this.more = page.next_cursor !== null;
      } catch (error) {
        this.more = false;
        throw error;
      } finally {
        this.#loading = null;
      }
    })();
    return this.#loading;
  }
}

/** @param {string} source @param {string | null} cursor */
function get(source, cursor) {
  const address = new URL(source, location.href);
  address.searchParams.set("limit", String(PAGE));
  if (cursor) address.searchParams.set("cursor", cursor);
  return call(address.pathname + address.search);
}

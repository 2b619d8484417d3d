// Calls that wait until the service answers: for the connection, or for a person who signs in again.
import { Problem, call } from "./api.js";

const LONGEST_WAIT = 30;
const PASSES = [0, 401, 408, 429, 502, 503, 504];

export class Patience {
  /** What is waited for, if anything. */
  waiting = "";
  #stop = new AbortController();
  #resumed = Promise.withResolvers();
  cancelled = false;

  /** @param {() => void} change is called when something else is waited for, or nothing any more */
  constructor(change) {
    this.change = change;
    for (const event of ["online", "focus"]) addEventListener(event, () => this.resume(), { signal: this.#stop.signal }); // back from the tab where one signed in
  }

  cancel() {
    this.cancelled = true;
    this.#stop.abort();
    this.resume();
  }

  /** Go on at once after a pause. */
  resume() {
    this.#resumed.resolve(null);
    this.#resumed = Promise.withResolvers();
  }

  /** Call until the service answers. @param {string} path @param {import("./api.js").Options} [options] @returns {Promise<any>} */
  async call(path, options = {}) {
    for (let attempt = 0; ; attempt++) {
      try {
        const answer = await call(path, { ...options, signal: this.#stop.signal });
        if (this.waiting) (this.waiting = ""), this.change();
        return answer;
      } catch (error) {
        if (this.cancelled || !(error instanceof Problem) || !(PASSES.includes(error.status) || error.code === "digest_mismatch")) throw error;
        if (error.status === 0 && attempt > 2 && options.body && (await call("/v1/limits").catch(() => null))) throw UNREADABLE;
        const ended = error.status === 401;
        this.waiting = ended ? "your session has ended: sign in in another tab, then come back" : error.status === 429 ? "waiting for the service" : "waiting for the connection";
        this.change();
        const pause = new Promise((resolve) => ended || setTimeout(resolve, 1000 * Math.min(LONGEST_WAIT, 2 ** attempt)));
        await Promise.race([pause, this.#resumed.promise]);
      }
    }
  }
}

/** Of a file that was changed, moved or unplugged since it was chosen. */
export const UNREADABLE = new Problem(422, { title: "The file cannot be read any more" });

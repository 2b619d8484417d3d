// The jobs that run now, from the one event stream of this tab. Other elements listen to "job" on the document.
import { call, make, plural } from "../api.js";

const LISTED = 3;
const ACTIVE = ["running", "queued", "cancelling"];

class ActivityTray extends HTMLElement {
  /** @type {Map<string, any>} */
  #jobs = new Map();
  /** @type {EventSource | null} */
  #stream = null;

  async connectedCallback() {
    try {
      for (const status of ACTIVE)
        for (const job of (await call(`/v1/jobs?status=${status}&limit=20`)).data) this.#jobs.set(job.id, job);
    } catch {
      return; // signed out, or the service is away: the screen itself says so
    }
    this.#show();
    this.#follow();
  }

  disconnectedCallback() {
    this.#stream?.close();
  }

  #follow() {
    const stream = (this.#stream = new EventSource("/v1/events"));
    for (const kind of ["status", "progress", "metric", "done"])
      stream.addEventListener(kind, (event) => this.#take(kind, JSON.parse(/** @type {MessageEvent} */ (event).data)));
  }

  /** @param {string} kind @param {any} data */
  #take(kind, data) {
    const id = data.job_id ?? data.job?.id ?? data.id;
    const job = { ...this.#jobs.get(id), ...data, id };
    if (kind === "done" || data.done) this.#jobs.delete(id);
    else this.#jobs.set(id, job);
    document.dispatchEvent(new CustomEvent("job", { detail: { kind, job } }));
    this.#show();
  }

  #show() {
    const jobs = [...this.#jobs.values()];
    const rows = jobs.slice(0, LISTED).map((job) => {
      const progress = make("progress", { max: 1, "aria-label": "Progress" });
      if (job.progress?.fraction) progress.value = job.progress.fraction;
      const name = job.object ?? job.kind ?? "job";
      return make("a", { href: `/jobs/${job.id}`, class: "hint" }, `${name} · ${job.status === "queued" ? "waiting" : job.phase || job.status}`, progress);
    });
    const more = jobs.length > LISTED ? [make("a", { href: "/jobs", class: "hint" }, `${plural(jobs.length - LISTED, "more job")}`)] : [];
    this.replaceChildren(...rows, ...more);
  }
}

customElements.define("activity-tray", ActivityTray);

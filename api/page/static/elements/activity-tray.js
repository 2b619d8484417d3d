// The jobs that run now, from the one event stream of this tab. Other elements listen to "job" on the document: its
// detail is `{kind, job, data}`, with the event's name, the job as it is now, and the event's own data.
import { make, plural } from "../api.js";

const LISTED = 3;
/** @type {Record<string, string>} */
const SCREENS = { training: "trainings", batch: "batches" }; // others are shown as jobs
/** @type {Record<string, string>} */
const WORDS = { analysis: "check", suggestion: "suggestions" };

class ActivityTray extends HTMLElement {
  /** @type {Map<string, any>} */
  #jobs = new Map();
  /** @type {EventSource | null} */
  #stream = null;

  connectedCallback() {
    const stream = (this.#stream = new EventSource("/v1/events"));
    for (const kind of ["status", "progress", "metric", "done"])
      stream.addEventListener(kind, (event) => this.#take(kind, JSON.parse(event.data)));
  }

  disconnectedCallback() {
    this.#stream?.close();
  }

  /** @param {string} kind @param {any} data */
  #take(kind, data) {
    const job = data.job;
    if (job.done) this.#jobs.delete(job.id);
    else this.#jobs.set(job.id, job);
    document.dispatchEvent(new CustomEvent("job", { detail: { kind, job, data } }));
    this.#show();
  }

  #show() {
    const jobs = [...this.#jobs.values()];
    const rows = jobs.slice(0, LISTED).map((job) => {
      const progress = make("progress", { max: 1, "aria-label": `Progress of the ${job.object}` });
      if (job.progress?.fraction) progress.value = job.progress.fraction;
      const state = job.status === "queued" ? "waiting" : job.phase || job.status;
      return make("a", { href: `/${SCREENS[job.object] ?? "jobs"}/${job.id}`, class: "hint" }, `${WORDS[job.object] ?? job.object} · ${state}`, progress);
    });
    if (jobs.length > LISTED) rows.push(make("a", { href: "/jobs", class: "hint" }, plural(jobs.length - LISTED, "more job")));
    this.replaceChildren(...rows);
  }
}

customElements.define("activity-tray", ActivityTray);

// A job that runs: its progress, live; when it has ended the screen is shown again, with what came of it.
import { call, ended, plural } from "../api.js";
import { complain } from "../notices.js";

class JobProgress extends HTMLElement {
  #gone = new AbortController();

  async connectedCallback() {
    try {
      const job = await call(`/v1/jobs/${this.getAttribute("job")}`);
      this.#show(job);
      await ended(job, (changed) => this.#show(changed), this.#gone.signal);
      location.reload();
    } catch (error) {
      if (!this.#gone.signal.aborted) complain(error, () => this.connectedCallback());
    }
  }

  disconnectedCallback() {
    this.#gone.abort();
  }

  /** @param {any} job */
  #show(job) {
    const { fraction, completed, total, unit, eta_seconds: left } = job.progress;
    const bar = /** @type {HTMLProgressElement} */ (this.querySelector("progress"));
    if (fraction) bar.value = fraction;
    const badge = /** @type {HTMLElement} */ (this.querySelector(".badge"));
    badge.textContent = job.status === "queued" ? "waiting" : job.phase || job.status;
    const parts = total ? [`${completed.toLocaleString("en")} of ${plural(total, unit.replace(/s$/, ""))}`] : [];
    if (left) parts.push(`about ${Math.ceil(left)} s left`);
    this.querySelector("[data-counts]")?.replaceChildren(parts.join(" · "));
  }
}

customElements.define("job-progress", JobProgress);

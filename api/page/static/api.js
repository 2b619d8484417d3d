// Calls of the public /v1 with the page's cookie. Every element uses these; none calls fetch itself.

/** What went wrong, as the service says it (RFC 9457). */
export class Problem extends Error {
  /** @param {number} status @param {{code?: string, title?: string, detail?: string, hint?: string | null}} body */
  constructor(status, body) {
    super(body.detail || body.title || "Something went wrong.");
    this.status = status;
    this.code = body.code ?? "";
    this.hint = body.hint ?? "";
  }
}

/** A screen that is gone, or that failed. */
const UNSHOWN = { detail: "This cannot be shown now.", hint: "Reload the page." };

/** @typedef {{method?: string, json?: unknown, body?: BodyInit, headers?: Record<string, string>, signal?: AbortSignal}} Options */

/**
 * Call the service and return its answer.
 * @param {string} path
 * @param {Options} [options]
 * @returns {Promise<Response>}
 * @throws {Problem} also where the service cannot be reached (status 0).
 */
export async function send(path, { method, json, body, headers = {}, signal } = {}) {
  if (json !== undefined) {
    body = JSON.stringify(json);
    headers = { "Content-Type": "application/json", ...headers };
  }
  let response;
  try {
    response = await fetch(path, { method: method ?? (body === undefined ? "GET" : "POST"), body, headers, signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, { code: "unreachable", detail: "The service cannot be reached.", hint: "Nothing is lost: try again." });
  }
  if (!response.ok) throw new Problem(response.status, path.startsWith("/v1/") ? parse(await response.text()) : UNSHOWN);
  return response;
}

/**
 * Call the service and return the JSON it answers; null where it answers with nothing.
 * @param {string} path
 * @param {Options} [options]
 * @returns {Promise<any>}
 * @throws {Problem}
 */
export async function call(path, options) {
  const text = await (await send(path, options)).text();
  return text ? JSON.parse(text) : null;
}

/** @param {string} text */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return { detail: "A proxy answered in place of the service.", hint: "Try again." };
  }
}

/**
 * All entries of a list, page after page.
 * @param {string} path
 * @returns {AsyncGenerator<any>}
 */
export async function* pages(path) {
  let cursor = null;
  do {
    const page = await call(path + (cursor ? `${path.includes("?") ? "&" : "?"}cursor=${encodeURIComponent(cursor)}` : ""));
    yield* page.data;
    cursor = page.next_cursor;
  } while (cursor);
}

/**
 * Wait for the end of a job; `onChange` sees it each time it changed.
 * @param {{id: string, done: boolean}} job
 * @param {(job: any) => void} [onChange]
 * @param {{call: typeof call}} [by] asks
 * @returns {Promise<any>}
 */
export async function ended(job, onChange = () => {}, by = { call }) {
  while (!job.done) {
    job = await by.call(`/v1/jobs/${job.id}`, { headers: { Prefer: "wait=20" } });
    onChange(job);
  }
  return job;
}

/** @param {number} share */
export function percent(share) {
  return share > 0 && share < 0.0005 ? "< 0.1%" : `${(100 * share).toFixed(1)}%`;
}

/** @param {number} number @param {string} noun */
export function plural(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

/**
 * Make an element: `make("a", { href: "/" }, "text", child)`. Attributes that are null are left out.
 * @param {string} tag @param {Record<string, any>} [attributes] @param {...(Node | string)} children
 * @returns {any}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

// A box on a picture: drag it or its corners, move them by arrow keys, or type the numbers.
import { make } from "../api.js";

const NAMES = ["left", "upper", "right", "lower"];
const CORNERS = [[0, 1], [2, 1], [2, 3], [0, 3]];

class CropBox extends HTMLElement {
  size = [1, 1];
  /** @type {HTMLInputElement[]} */
  fields = [];
  /** @type {number[]} */
  box = [];
  /** @type {HTMLElement[]} */
  handles = [];

  connectedCallback() {
    this.size = [Number(this.getAttribute("width")), Number(this.getAttribute("height"))];
    const ratio = this.size[0] / this.size[1];
    this.style.width = `min(100%, ${72 * ratio}vh)`; // a small picture is shown large
    this.fields = NAMES.map((name) => /** @type {HTMLInputElement} */ (this.closest("form")?.elements.namedItem(name)));
    this.box = this.fields.map((field) => Number(field.value));
    this.handles = [[0, 1, 2, 3], ...CORNERS].map((sides, index) => this.#handle(sides, index));
    this.append(...this.handles);
    for (const [side, field] of this.fields.entries())
      field.addEventListener("input", () => {
        this.box[side] = Number(field.value);
        this.#draw();
      });
    this.#draw();
  }

  /** @param {number[]} sides that it moves @param {number} index */
  #handle(sides, index) {
    const name = index ? `Corner ${sides.map((side) => NAMES[side]).join(", ")}` : "The whole box";
    const handle = make("button", { type: "button", class: index ? "corner" : "whole", "aria-label": `${name}: arrow keys move it` });
    handle.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
      event.preventDefault();
      handle.focus();
      handle.setPointerCapture(event.pointerId);
      let [x, y] = [event.clientX, event.clientY];
      const scale = this.size[0] / this.getBoundingClientRect().width;
      handle.onpointermove = (/** @type {PointerEvent} */ moved) => {
        this.#move(sides, (moved.clientX - x) * scale, (moved.clientY - y) * scale);
        [x, y] = [moved.clientX, moved.clientY];
      };
      handle.onpointerup = () => (handle.onpointermove = null);
    });
    handle.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      const step = event.shiftKey ? 1 : Math.max(1, Math.round(Math.max(...this.size) / 100));
      const by = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
      if (!by) return;
      event.preventDefault();
      this.#move(sides, by[0], by[1]);
    });
    return handle;
  }

  /** @param {number[]} sides @param {number} right @param {number} down in pixels of the picture */
  #move(sides, right, down) {
    const by = [right, down];
    if (sides.length === 4) // the whole box keeps its size
      for (const axis of [0, 1]) by[axis] = Math.max(-this.box[axis], Math.min(by[axis], this.size[axis] - this.box[axis + 2]));
    for (const side of sides) {
      const axis = side % 2;
      const [low, high] = side < 2 ? [0, this.box[side + 2] - 1] : [this.box[side - 2] + 1, this.size[axis]];
      const wanted = this.box[side] + by[axis];
      this.box[side] = sides.length === 4 ? wanted : Math.max(low, Math.min(high, wanted));
    }
    for (const [side, field] of this.fields.entries()) field.value = String(Math.round(this.box[side]));
    this.#draw();
  }

  #draw() {
    const [left, upper, right, lower] = this.box;
    const [width, height] = this.size;
    const rect = /** @type {SVGRectElement} */ (this.querySelector("rect"));
    const place = { x: left, y: upper, width: Math.max(0, right - left), height: Math.max(0, lower - upper) };
    for (const [name, value] of Object.entries(place)) rect.setAttribute(name, String(value));
    const [whole, ...corners] = this.handles;
    whole.style.left = `${(100 * left) / width}%`;
    whole.style.top = `${(100 * upper) / height}%`;
    whole.style.width = `${(100 * (right - left)) / width}%`;
    whole.style.height = `${(100 * (lower - upper)) / height}%`;
    for (const [index, handle] of corners.entries()) {
      handle.style.left = `${(100 * this.box[CORNERS[index][0]]) / width}%`;
      handle.style.top = `${(100 * this.box[CORNERS[index][1]]) / height}%`;
    }
  }
}

customElements.define("crop-box", CropBox);

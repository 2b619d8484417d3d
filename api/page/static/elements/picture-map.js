// A map of pictures: those that a line is drawn around, or the one that is clicked, are selected in a grid below it.
//
//   <picture-map><svg>… circles with data-image and data-labels, their names in <title> …</svg></picture-map>
//   <image-grid id="chosen" dataset="ds_1"></image-grid>
const NEAR = 0.03; // of the map's coordinates: a click this far from a point is at it

class PictureMap extends HTMLElement {
  connectedCallback() {
    this.onpointerdown = (event) => this.#draw(event);
  }

  /** @param {PointerEvent} start */
  #draw(start) {
    if (start.button) return;
    const svg = /** @type {SVGSVGElement} */ (this.querySelector("svg"));
    const line = document.createElementNS("http://www.w3.org/2000/svg", "polygon");
    const at = (/** @type {PointerEvent} */ event) => new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM()?.inverse());
    const places = [at(start)];
    line.setAttribute("class", "around");
    svg.append(line);
    this.setPointerCapture(start.pointerId);
    this.onpointermove = (event) => {
      places.push(at(event));
      line.setAttribute("points", places.map(({ x, y }) => `${x.toFixed(3)},${y.toFixed(3)}`).join(" "));
    };
    this.onlostpointercapture = () => {
      this.onpointermove = this.onlostpointercapture = null;
      const points = /** @type {SVGCircleElement[]} */ ([...svg.querySelectorAll("[data-image]")]);
      const place = (/** @type {SVGCircleElement} */ { cx, cy }) => new DOMPoint(cx.baseVal.value, cy.baseVal.value);
      const far = (/** @type {SVGCircleElement} */ point) => Math.hypot(place(point).x - places[0].x, place(point).y - places[0].y);
      const { width, height } = line.getBBox();
      const click = Math.max(width, height) < NEAR;
      const nearest = points.sort((a, b) => far(a) - far(b)).slice(0, 1).filter((point) => far(point) < NEAR);
      this.#choose(points, click ? nearest : points.filter((point) => line.isPointInFill(place(point))));
      line.remove();
    };
  }

  /** @param {SVGCircleElement[]} points @param {SVGCircleElement[]} chosen */
  #choose(points, chosen) {
    for (const point of points) point.classList.toggle("chosen", chosen.includes(point));
    const grid = /** @type {import("./image-grid.js").ImageGrid} */ (document.getElementById("chosen"));
    grid.entries = chosen.map(({ dataset, textContent }) => ({ id: dataset.image, name: textContent, labels: JSON.parse(dataset.labels ?? "null"), links: { thumb: `/v1/images/${dataset.image}/content?variant=thumb` } }));
    grid.selectAll();
  }
}

customElements.define("picture-map", PictureMap);

// What the pointer presses at this moment. A click on what is replaced in the middle of it would be lost.

/** @type {Element | null} */
let pressed = null;

addEventListener("pointerdown", (event) => (pressed = event.button ? null : /** @type {Element} */ (event.target)), true);
for (const end of ["pointerup", "pointercancel"])
  addEventListener(end, () => setTimeout(() => ((pressed = null), dispatchEvent(new Event("released")))), true); // after its click

/** Wait until nothing within is pressed. @param {(pressed: Element) => unknown} within */
export async function released(within) {
  while (pressed && within(pressed)) await new Promise((resolve) => addEventListener("released", resolve, { once: true }));
}

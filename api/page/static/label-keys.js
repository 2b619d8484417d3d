// The order of labels by which the number keys give them. It stays what it is while one works: a label keeps its key in
// this browser, and a new label comes last.

/**
 * @param {string} dataset id
 * @param {string[]} labels that there are, in the order for those that have no key yet
 * @returns {string[]}
 */
export function fixedOrder(dataset, labels) {
  const place = `labels:${dataset}`;
  /** @type {string[]} */
  const kept = JSON.parse(localStorage.getItem(place) ?? "[]").filter((/** @type {string} */ label) => labels.includes(label));
  const order = [...kept, ...labels.filter((label) => !kept.includes(label))];
  localStorage.setItem(place, JSON.stringify(order.slice(0, 200)));
  return order;
}

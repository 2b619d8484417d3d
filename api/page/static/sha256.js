// A worker that hashes files, so that the page stays responsive. It has an algorithm of its own because browsers give
// theirs only to pages that came over HTTPS or from this computer, not to those of a machine in the same house.
//
// Gets { id, blob }, answers { id, sha256 } in hex, or { id, error }.

const WORDS = new Int32Array(64);
const ROUND = new Int32Array(64);
const START = new Int32Array(8);

for (let candidate = 2, found = 0; found < 64; candidate++) {
  if (![...Array(candidate).keys()].slice(2).every((divisor) => candidate % divisor)) continue;
  if (found < 8) START[found] = (candidate ** (1 / 2) % 1) * 2 ** 32;
  ROUND[found++] = (candidate ** (1 / 3) % 1) * 2 ** 32;
}

/** @param {Int32Array} state @param {Uint8Array} bytes whose length is a multiple of 64 */
function absorb(state, bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < bytes.length; at += 64) {
    for (let i = 0; i < 16; i++) WORDS[i] = view.getInt32(at + 4 * i);
    for (let i = 16; i < 64; i++) {
      const x = WORDS[i - 15];
      const y = WORDS[i - 2];
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      WORDS[i] = (WORDS[i - 16] + s0 + WORDS[i - 7] + s1) | 0;
    }
    let a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
    for (let i = 0; i < 64; i++) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const one = (h + s1 + ((e & f) ^ (~e & g)) + ROUND[i] + WORDS[i]) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const two = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g; g = f; f = e; e = (d + one) | 0; d = c; c = b; b = a; a = (one + two) | 0;
    }
    state[0] += a; state[1] += b; state[2] += c; state[3] += d; state[4] += e; state[5] += f; state[6] += g; state[7] += h;
  }
}

/** @param {Uint8Array} bytes */
function digest(bytes) {
  const state = START.slice();
  const whole = bytes.length - (bytes.length % 64);
  absorb(state, bytes.subarray(0, whole));
  const rest = bytes.subarray(whole);
  const last = new Uint8Array(rest.length < 56 ? 64 : 128);
  last.set(rest);
  last[rest.length] = 0x80;
  new DataView(last.buffer).setBigUint64(last.length - 8, BigInt(bytes.length) * 8n);
  absorb(state, last);
  const view = new DataView(new ArrayBuffer(32));
  state.forEach((word, at) => view.setInt32(4 * at, word));
  return view.buffer;
}

/** @param {Blob} blob */
async function sha256(blob) {
  const bytes = await blob.arrayBuffer();
  const found = globalThis.crypto?.subtle ? await crypto.subtle.digest("SHA-256", bytes) : digest(new Uint8Array(bytes));
  return [...new Uint8Array(found)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @type {Promise<void>} */
let before = Promise.resolve();

addEventListener("message", ({ data: { id, blob } }) => {
  before = before.then(async () => {
    try {
      postMessage({ id, sha256: await sha256(blob) });
    } catch (error) {
      postMessage({ id, error: String(error) });
    }
  });
});

// SHA-256 of files. Browsers give theirs only to pages that came over HTTPS or from this computer; for those that came
// from a machine in the same house there is an implementation here.

const PIECE = 2 ** 20;
const WORDS = new Int32Array(64);
const ROUND = new Int32Array(64);
const START = new Int32Array(8);

for (let candidate = 2, found = 0; found < 64; candidate++) {
  if (![...Array(candidate).keys()].slice(2).every((divisor) => candidate % divisor)) continue;
  if (found < 8) START[found] = (candidate ** (1 / 2) % 1) * 2 ** 32;
  ROUND[found++] = (candidate ** (1 / 3) % 1) * 2 ** 32;
}

/** @param {Int32Array} state @param {DataView} view of one block of 64 bytes or several */
function absorb(state, view) {
  for (let at = 0; at < view.byteLength; at += 64) {
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

/** In pieces, between which the page stays responsive. @param {Blob} blob */
async function digest(blob) {
  const state = START.slice();
  const rest = blob.size % 64;
  const whole = blob.size - rest;
  for (let at = 0; at < whole; at += PIECE) absorb(state, new DataView(await blob.slice(at, Math.min(at + PIECE, whole)).arrayBuffer()));
  const last = new Uint8Array(rest < 56 ? 64 : 128);
  last.set(new Uint8Array(await blob.slice(whole).arrayBuffer()));
  last[rest] = 0x80;
  const view = new DataView(last.buffer);
  view.setBigUint64(last.length - 8, BigInt(blob.size) * 8n);
  absorb(state, view);
  state.forEach((word, at) => view.setInt32(4 * at, word));
  return last.slice(0, 32);
}

/**
 * @param {Blob} blob of some megabytes; it is held in memory
 * @returns {Promise<Uint8Array>} 32 bytes
 * @throws {DOMException} it cannot be read
 */
async function sha256(blob) {
  return globalThis.crypto?.subtle ? new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer())) : digest(blob);
}

/** The hash in hex. @param {Blob} blob */
export async function hash(blob) {
  return [...(await sha256(blob))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The header that says which bytes a body has (RFC 9530). @param {Blob} blob */
export async function contentDigest(blob) {
  return `sha-256=:${btoa(String.fromCharCode(...(await sha256(blob))))}:`;
}

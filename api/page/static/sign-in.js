// A link may carry the key in its fragment, which browsers never send: take it out of the address, then sign in with it.
function signInByFragment() {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (!key) return;
  history.replaceState(null, "", location.pathname);
  const form = /** @type {HTMLFormElement} */ (document.getElementById("sign-in"));
  /** @type {HTMLInputElement} */ (form.elements.namedItem("key")).value = key;
  form.submit();
}

signInByFragment();
window.addEventListener("hashchange", signInByFragment); // the link was followed with this page open already

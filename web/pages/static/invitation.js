// @ts-check
// The secret of a link to set a password stands behind "#", which no server is sent; the form carries it in its body.
addEventListener("DOMContentLoaded", () => {
  "use strict";
  const link = /** @type {HTMLInputElement | null} */ (document.querySelector("input[name=link]"));
  if (!link) { // it is used up
    history.replaceState(null, "", location.pathname);
    return;
  }
  link.value = location.hash.slice(1);
  link.form.action += location.hash; // so that the page after a refusal has it too
  for (const other of /** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll(".languages a"))) other.href += location.hash;
});

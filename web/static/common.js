// What all pages share: dark colours that are remembered, and decisions that are sent without leaving the page.
(() => {
  "use strict";

  // ---- dark colours: Gradio sets the class by the system's preference; the plain pages leave that to us -----------

  const DARK = "tenfold-dark";
  const remembered = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
  const remember = (key, value) => { try { localStorage.setItem(key, value); } catch { /* a private window */ } };
  const system = matchMedia("(prefers-color-scheme: dark)");
  const plain = document.documentElement.dataset.plain !== undefined;
  const paint = () => {
    const wish = remembered(DARK);
    if (wish !== null) document.body.classList.toggle("dark", wish === "on");
    else if (plain) document.body.classList.toggle("dark", system.matches);
    document.querySelector(".dark-toggle")?.setAttribute("aria-pressed", document.body.classList.contains("dark"));
  };
  const begin = () => {
    paint();
    new MutationObserver(paint).observe(document.body, { attributes: true, attributeFilter: ["class"] });
    system.addEventListener("change", paint);
    addEventListener("desk-drawn", paint); // Gradio draws the switch long after the page is there
  };
  if (document.body) begin();
  else addEventListener("DOMContentLoaded", begin);

  document.addEventListener("click", (event) => {
    if (!event.target.closest?.(".dark-toggle")) return;
    const dark = !document.body.classList.contains("dark");
    remember(DARK, dark ? "on" : "off");
    document.body.classList.toggle("dark", dark);
    paint();
  });

  // ---- decisions ---------------------------------------------------------------------------------------------------

  const OFFICER = "tenfold-officer"; // the officer's own name, typed once a browser; nothing of an applicant
  const fillName = (root) => {
    for (const input of root.querySelectorAll?.(".deciding input[name=name]") ?? [])
      if (!input.value) input.value = remembered(OFFICER) ?? "";
  };
  new MutationObserver((changes) => {
    for (const change of changes) for (const node of change.addedNodes) if (node.nodeType === 1) fillName(node);
  }).observe(document.documentElement, { childList: true, subtree: true });
  addEventListener("DOMContentLoaded", () => fillName(document));

  const PATIENCE = 15000; // ms
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.matches(".deciding")) return;
    event.preventDefault();
    const section = form.closest("[data-record]");
    const button = form.querySelector("button");
    if (button.disabled) return;
    button.disabled = true;
    const content = new URLSearchParams(new FormData(form));
    if (content.get("name")) remember(OFFICER, content.get("name"));
    let html = null;
    let answer = null;
    try {
      answer = await fetch(`${section.dataset.record}/${form.dataset.action}`, {
        method: "POST", body: content, signal: AbortSignal.timeout(PATIENCE),
      });
      html = await answer.text();
    } catch { /* said below */ }
    if (html === null || !answer.ok) {
      button.disabled = false;
      let note = form.querySelector(".form-problem");
      if (!note) {
        note = document.createElement("p");
        note.className = "form-problem";
        note.setAttribute("role", "alert");
        button.before(note);
      }
      note.textContent = answer?.status === 401 ? section.dataset.out : section.dataset.gone;
      return;
    }
    if (answer.headers.get("X-Recorded") === "yes" && plain) return location.reload();
    const made = document.createElement("div");
    made.innerHTML = html;
    const fresh = made.firstElementChild;
    section.replaceWith(fresh);
    const wrong = [...fresh.querySelectorAll("[aria-invalid]")]
      .map((one) => (one.matches("input, select, textarea") ? one : one.querySelector("input")))
      .find((one) => one?.checkVisibility());
    (wrong ?? fresh.querySelector(".form-problem, .decided"))?.focus();
  });
})();

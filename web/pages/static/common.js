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

  // What was said of a part goes once that part is mended; the server judges anew in any case.
  const lacking = (input) => {
    if (input.matches("[type=radio], [type=checkbox]")) return !input.form.querySelector(`[name="${input.name}"]:checked`);
    return input.value.trim().length < Number(input.dataset.shortest ?? 1);
  };
  const mend = (form, part) => {
    form.querySelector(`#problem-${part}`)?.remove();
    for (const one of form.querySelectorAll(`[aria-describedby="problem-${part}"]`)) {
      one.removeAttribute("aria-invalid");
      one.removeAttribute("aria-describedby");
    }
    if (!form.querySelector(".field-problem")) form.querySelector(".form-problem")?.remove();
  };
  const mended = (event) => {
    const input = event.target;
    const form = input.closest?.(".deciding");
    if (!form || lacking(input)) return;
    // Another decision needs other things; a reason in a sentence stands for reasons confirmed.
    const more = { decision: ["reason", "principal", "conditions", "justification"], justification: ["principal"], agrees: ["note"] };
    for (const part of [input.name.replace(/^reason_.*/, "reason"), ...(more[input.name] ?? [])]) mend(form, part);
  };
  for (const kind of ["input", "change"]) document.addEventListener(kind, mended);

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
    let fresh = null;
    if (answer.headers.get("X-Page") === "whole") { // the case has moved, and so has all that the page says of it
      const page = form.closest("main");
      page.innerHTML = html;
      fresh = page.querySelector(".form-problem").closest("[data-record]");
    } else {
      const made = document.createElement("div");
      made.innerHTML = html;
      fresh = made.firstElementChild;
      section.replaceWith(fresh);
    }
    const wrong = [...fresh.querySelectorAll("[aria-invalid]")]
      .map((one) => (one.matches("input, select, textarea") ? one : one.querySelector("input")))
      .find((one) => one?.checkVisibility());
    (wrong ?? fresh.querySelector(".form-problem, .decided"))?.focus();
  });
})();

// @ts-check
// What all pages share: dark colours that are remembered, and decisions that are sent without leaving the page.
(() => {
  "use strict";

  /** @type {(event: Event) => HTMLInputElement} what an event happened to */
  const targetOf = (event) => /** @type {HTMLInputElement} */ (event.target);

  // ---- dark colours: Gradio sets the class by the system's preference; the plain pages leave that to us -----------

  const DARK = "tenfold-dark";
  /** @type {(key: string) => string | null} */
  const remembered = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
  /** @type {(key: string, value: string) => void} */
  const remember = (key, value) => { try { localStorage.setItem(key, value); } catch { /* a private window */ } };
  const system = matchMedia("(prefers-color-scheme: dark)");
  const plain = document.documentElement.dataset.plain !== undefined;
  const paint = () => {
    const wish = remembered(DARK);
    if (wish !== null) document.body.classList.toggle("dark", wish === "on");
    else if (plain) document.body.classList.toggle("dark", system.matches);
    document.querySelector(".dark-toggle")?.setAttribute("aria-pressed", String(document.body.classList.contains("dark")));
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
    if (!targetOf(event).closest?.(".dark-toggle")) return;
    const dark = !document.body.classList.contains("dark");
    remember(DARK, dark ? "on" : "off");
    document.body.classList.toggle("dark", dark);
    paint();
  });

  // ---- decisions ---------------------------------------------------------------------------------------------------

  const OFFICER = "tenfold-officer"; // the officer's own name, typed once a browser; nothing of an applicant
  /** @type {(root: ParentNode) => void} */
  const fillName = (root) => {
    /** @type {Iterable<HTMLInputElement>} */
    const inputs = root.querySelectorAll?.(".deciding input[name=name]") ?? [];
    for (const input of inputs)
      if (!input.value) input.value = remembered(OFFICER) ?? "";
  };
  new MutationObserver((changes) => {
    for (const change of changes) for (const node of change.addedNodes) if (node instanceof Element) fillName(node);
  }).observe(document.documentElement, { childList: true, subtree: true });
  addEventListener("DOMContentLoaded", () => fillName(document));

  // What was said of a part goes once that part is mended; the server judges anew in any case.
  /** @type {(input: HTMLInputElement) => boolean} */
  const lacking = (input) => {
    if (input.matches("[type=radio], [type=checkbox]")) return !input.form.querySelector(`[name="${input.name}"]:checked`);
    return input.value.trim().length < Number(input.dataset.shortest ?? 1);
  };
  /** @type {(form: Element, part: string) => void} */
  const mend = (form, part) => {
    form.querySelector(`#problem-${part}`)?.remove();
    for (const one of form.querySelectorAll(`[aria-describedby="problem-${part}"]`)) {
      one.removeAttribute("aria-invalid");
      one.removeAttribute("aria-describedby");
    }
    if (!form.querySelector(".field-problem")) form.querySelector(".form-problem")?.remove();
  };
  /** @type {(event: Event) => void} */
  const mended = (event) => {
    const input = targetOf(event);
    const form = input.closest?.(".deciding");
    if (!form || lacking(input)) return;
    // Another decision needs other things; a reason in a sentence stands for reasons confirmed.
    /** @type {Record<string, string[]>} */
    const more = { decision: ["reason", "principal", "conditions", "justification"], justification: ["principal"], agrees: ["note"] };
    for (const part of [input.name.replace(/^reason_.*/, "reason"), ...(more[input.name] ?? [])]) mend(form, part);
  };
  for (const kind of ["input", "change"]) document.addEventListener(kind, mended);

  // In a demonstration requests carry the visitor's visit; a page in its dialog sends them through the page around it.
  /** @type {() => { send: typeof fetch, again: () => void } | undefined} */
  const visits = () => /** @type {any} */ (window).tenfoldVisits ?? (window.frameElement && /** @type {any} */ (parent).tenfoldVisits);

  const PATIENCE = 15000; // ms
  document.addEventListener("submit", async (event) => {
    const form = /** @type {HTMLFormElement} */ (event.target);
    if (!form.matches(".deciding")) return;
    event.preventDefault();
    /** @type {HTMLElement} */
    const section = form.closest("[data-record]");
    /** @type {HTMLButtonElement} */
    const button = form.querySelector("button[type=submit]");
    if (button.disabled) return;
    button.disabled = true;
    button.setAttribute("aria-busy", "true");
    const content = new URLSearchParams(/** @type {any} */ (new FormData(form))); // of texts alone, no files
    const officer = content.get("name");
    if (officer) remember(OFFICER, officer);
    let html = null;
    let answer = null;
    try {
      const target = new URL(`${section.dataset.record}/${form.dataset.action}`, document.baseURI).href;
      answer = await (visits()?.send ?? fetch)(target, {
        method: "POST", body: content, signal: /** @type {any} */ (AbortSignal).timeout(PATIENCE),
      });
      html = await answer.text();
    } catch { /* said below */ }
    if (html === null || !answer.ok) {
      button.disabled = false;
      button.removeAttribute("aria-busy");
      let note = form.querySelector(".form-problem");
      if (!note) {
        note = document.createElement("p");
        note.className = "form-problem";
        note.setAttribute("role", "alert");
        button.before(note);
      }
      const { out, other, gone, ended } = section.dataset;
      note.textContent = { 401: out, 412: other, 410: ended }[answer?.status] ?? gone;
      return;
    }
    if (answer.headers.get("X-Recorded") === "yes" && plain) {
      (visits()?.again ?? (() => location.reload()))();
      return;
    }
    /** @type {Element} */
    let fresh;
    if (answer.headers.get("X-Page") === "whole") { // the case has moved, and so has all that the page says of it
      const page = form.closest("main");
      page.innerHTML = html;
      fresh = page.querySelector(".form-problem").closest("[data-record]");
    } else {
      const made = document.createElement("div");
      made.innerHTML = html;
      fresh = made.firstElementChild;
      section.replaceWith(fresh);
      dispatchEvent(new CustomEvent("section-replaced", { detail: fresh }));
    }
    /** @type {NodeListOf<HTMLInputElement>} */
    const invalid = fresh.querySelectorAll("[aria-invalid]");
    const wrong = [...invalid]
      .map((one) => (one.matches("input, select, textarea") ? one : one.querySelector("input")))
      .find((one) => /** @type {any} */ (one)?.checkVisibility());
    /** @type {HTMLElement} */
    const next = wrong ?? fresh.querySelector(".form-problem, .decided") ?? fresh.querySelector("button[type=submit]");
    next?.focus();
  });

  // ---- the order of a letter's reasons: by its buttons, or pulled by the handle --------------------------------------

  /** @type {(entry: Element, by: number) => boolean} whether an entry took the place of its neighbour, in the list and
      in each preview. The neighbour is what moves: the entry keeps the focus, or the pointer that pulls it. */
  const step = (entry, by) => {
    const list = /** @type {HTMLElement} */ (entry.parentElement);
    const place = [...list.children].indexOf(entry);
    if (!list.children[place + by]) return false;
    for (const one of [list, ...list.closest(".letter").querySelectorAll(".sheet .reasons")]) {
      const neighbour = one.children[place + by];
      if (by < 0) one.children[place].after(neighbour);
      else one.children[place].before(neighbour);
    }
    list.nextElementSibling.textContent = list.dataset.moved.replace("#", String(place + by + 1));
    return true;
  };
  document.addEventListener("click", (event) => {
    /** @type {HTMLElement} */
    const button = targetOf(event).closest?.(".order [data-step]");
    if (button) step(button.closest("li"), Number(button.dataset.step));
  });
  /** @type {Element | null} */
  let pulled = null;
  const letGo = () => {
    pulled?.classList.remove("pulled");
    pulled = null;
  };
  document.addEventListener("pointerdown", (event) => {
    if (!targetOf(event).matches?.(".order .grip")) return;
    event.preventDefault(); // no text is selected
    pulled = targetOf(event).closest("li");
    pulled.classList.add("pulled");
  });
  document.addEventListener("pointermove", (event) => {
    if (!pulled) return;
    /** @type {(entry: Element | null) => number} */
    const middle = (entry) => { const box = entry.getBoundingClientRect(); return box.top + box.height / 2; };
    while (pulled.previousElementSibling && event.clientY < middle(pulled.previousElementSibling)) step(pulled, -1);
    while (pulled.nextElementSibling && event.clientY > middle(pulled.nextElementSibling)) step(pulled, 1);
  });
  for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, letGo);
})();

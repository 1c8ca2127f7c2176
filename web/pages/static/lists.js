// @ts-check
// Long lists of codes: the server finds choices by words in any order and form (web/desk/choice_search.py), and what was
// used last. What was used in this tab is kept in its memory, and nowhere else. Gradio's own list stands back meanwhile.
(() => {
  "use strict";

  /** @type {{ release: string, rows: { id: string, name: string, searched?: boolean }[] }} */
  const facts = JSON.parse(document.getElementById("desk-facts").textContent);
  const visitor = /** @type {HTMLTemplateElement} */ (document.getElementById("visitor-now"));
  const person = /** @type {HTMLElement} */ (visitor.content.querySelector("[data-person]"))?.dataset.person ?? "";
  const SEARCHED = facts.rows.filter((fact) => fact.searched);
  /** @type {Map<string, string[]>} by field: codes that were chosen in this tab, the last one first */
  const used = new Map();
  /** @type {(target: EventTarget) => { id: string, name: string } | undefined} */
  const factOf = (target) =>
    SEARCHED.find((fact) => target instanceof HTMLInputElement && document.getElementById(fact.id)?.contains(target));

  const panel = document.createElement("div");
  panel.id = "choices";
  panel.hidden = true;
  document.body.append(panel);
  /** @type {HTMLInputElement | null} the box whose choices are shown */
  let box = null;
  let turn = 0;
  let choosing = false;
  const options = () => /** @type {HTMLElement[]} */ ([...panel.querySelectorAll("[role=option]")]);
  const marked = () => options().find((one) => one.ariaSelected === "true");

  /** @type {(option: HTMLElement | undefined) => void} */
  const mark = (option) => {
    for (const one of options()) one.ariaSelected = String(one === option);
    option?.scrollIntoView({ block: "nearest" });
    if (option) box?.setAttribute("aria-activedescendant", option.id);
    else box?.removeAttribute("aria-activedescendant");
  };
  const place = () => {
    if (!box || panel.hidden) return;
    const at = box.closest(".wrap").getBoundingClientRect();
    const below = innerHeight - at.bottom;
    Object.assign(panel.style, { left: `${at.left}px`, width: `${at.width}px`, maxHeight: `${Math.max(below, at.top) - 16}px` });
    Object.assign(panel.style, below < 240 && at.top > below
      ? { top: "auto", bottom: `${innerHeight - at.top + 2}px` } : { top: `${at.bottom + 2}px`, bottom: "auto" });
  };
  const close = () => {
    turn += 1;
    panel.hidden = true;
    document.documentElement.classList.remove("choices-shown");
    box?.removeAttribute("aria-activedescendant");
    box?.removeAttribute("aria-controls");
  };
  /** @type {(input: HTMLInputElement, text: string) => Promise<void>} */
  const search = async (input, text) => {
    const fact = factOf(input);
    const mine = ++turn;
    let html = "";
    try {
      const answer = await fetch("desk/search", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ field: fact.name, text, used: used.get(fact.name) ?? [], as: person, release: facts.release }),
      });
      if (answer.ok) html = await answer.text();
    } catch { /* Gradio's own list is there */ }
    if (mine !== turn || document.activeElement !== input) return;
    if (!html) { close(); return; }
    box = input;
    panel.innerHTML = html;
    panel.hidden = false;
    document.documentElement.classList.add("choices-shown");
    if (options().length) input.setAttribute("aria-controls", "choices-list");
    mark(text.trim() ? options()[0] : undefined);
    place();
  };

  // Gradio picks a choice when it is pressed in its own list, which shows it once its whole text is typed.
  /** @type {(option: HTMLElement) => void} */
  const choose = (option) => {
    const input = box;
    const name = factOf(input).name;
    const text = option.textContent;
    const { code } = option.dataset;
    used.set(name, [code, ...(used.get(name) ?? []).filter((other) => other !== code)].slice(0, 12));
    choosing = true;
    input.value = text;
    input.dispatchEvent(new Event("input", { bubbles: true }));
    panel.hidden = true;
    let tries = 60; // frames
    const pick = () => {
      const own = [...document.querySelectorAll("ul.option-list li")].find((one) => one.textContent.replace("✓", "").trim() === text);
      if (own) own.dispatchEvent(new MouseEvent("mousedown", { bubbles: true, cancelable: true }));
      else if (--tries) { requestAnimationFrame(pick); return; }
      close();
      choosing = false;
    };
    requestAnimationFrame(pick);
  };

  document.addEventListener("focusin", (event) => {
    if (!choosing && factOf(event.target)) search(/** @type {HTMLInputElement} */ (event.target), "");
    else if (!panel.contains(/** @type {Node} */ (event.target))) close();
  });
  document.addEventListener("focusout", (event) => { if (event.target === box && !choosing) close(); });
  document.addEventListener("input", (event) => {
    const input = /** @type {HTMLInputElement} */ (event.target);
    if (!choosing && factOf(input)) search(input, input.value);
  });
  document.addEventListener("keydown", (event) => {
    if (panel.hidden || event.target !== box || event.key === "Unidentified") return;
    const all = options();
    const now = all.indexOf(marked());
    if (event.key === "ArrowDown" && all.length) mark(all[(now + 1) % all.length]);
    else if (event.key === "ArrowUp" && all.length) mark(all[(now + all.length - (now < 0 ? 0 : 1)) % all.length]);
    else if (event.key === "Enter" && marked()) choose(marked());
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);
  panel.addEventListener("mousedown", (event) => {
    event.preventDefault(); // the box keeps the focus
    const option = /** @type {HTMLElement} */ (event.target).closest("[role=option]");
    if (option) choose(/** @type {HTMLElement} */ (option));
  });
  document.addEventListener("scroll", place, true);
  addEventListener("resize", place);
})();

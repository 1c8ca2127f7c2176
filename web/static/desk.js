// What Gradio leaves open: units and field errors where they belong, a result that says when it is stale, a
// failed call that keeps what was typed, what-ifs of what stands in the form.
(() => {
  "use strict";
  const facts = JSON.parse(document.getElementById("desk-facts").textContent);
  const byId = (id) => document.getElementById(id);
  const rowOf = (fact) => byId(fact.id);
  const inputOf = (row) => row.querySelector(".answer input");

  // ---- dressing the widgets once Gradio has drawn them ------------------------------------------------------

  const dress = () => {
    for (const fact of facts.rows) {
      const row = rowOf(fact);
      const name = row.querySelector('[data-testid="block-info"]');
      const help = row.querySelector(".info-text");
      name.id = `${fact.id}-name`;
      if (help) help.id = `${fact.id}-help`;
      if (fact.kind === "radio") {
        const group = row.querySelector("fieldset");
        group.setAttribute("role", "radiogroup");
        group.setAttribute("aria-labelledby", name.id);
        // One name a group: the arrow keys walk within it, and Tab passes it as one stop.
        for (const input of row.querySelectorAll("input")) input.name = fact.id;
      } else {
        const input = inputOf(row);
        input.id = `${fact.id}-input`;
        input.setAttribute("aria-label", name.textContent.trim() + (fact.unit ? ` (${fact.unit})` : ""));
        if (fact.kind === "number") {
          input.inputMode = "decimal";
          input.parentElement.dataset.unit = fact.unit;
        } else {
          input.setAttribute("role", "combobox");
          input.setAttribute("aria-autocomplete", "list");
        }
      }
      describe(fact);
    }
    const reference = byId("reference"); // no field of the release, and only there where it can be recorded
    if (reference) {
      const input = reference.querySelector("input, textarea");
      const help = reference.querySelector(".info-text");
      input.setAttribute("aria-label", reference.querySelector('[data-testid="block-info"]').textContent.trim());
      if (help) input.setAttribute("aria-describedby", (help.id = "reference-help"));
    }
  };

  const describe = (fact) => {
    const row = rowOf(fact);
    const target = fact.kind === "radio" ? row.querySelector("fieldset") : inputOf(row);
    const ids = [`${fact.id}-error`, `${fact.id}-help`].filter(byId);
    if (ids.length) target.setAttribute("aria-describedby", ids.join(" "));
    else target.removeAttribute("aria-describedby");
    if (byId(`${fact.id}-error`)) target.setAttribute("aria-invalid", "true");
    else target.removeAttribute("aria-invalid");
  };

  // ---- numbers: thousands apart while nobody edits them -----------------------------------------------------

  const SPACES = /[\s\u00a0\u202f\u2009]/g;
  const PLAIN = { en: /^[+-]?\d+(\.\d*)?$/, fr: /^[+-]?\d+(,\d*)?$/ }[facts.language];
  const GROUPED = { en: /^[+-]?\d{1,3}(,\d{3})+(\.\d*)?$/, fr: /^[+-]?\d{1,3}([\s\u00a0\u202f\u2009]\d{3})+(,\d*)?$/ }[facts.language];
  const ungrouped = (text) => (GROUPED.test(text) ? text.replace(facts.language === "fr" ? SPACES : /,/g, "") : text);
  const grouped = (text) => {
    if (!PLAIN.test(text)) return text;
    const [whole, ...rest] = text.split(facts.language === "fr" ? "," : ".");
    const apart = whole.replace(/\B(?=(\d{3})+$)/g, facts.language === "fr" ? "\u202f" : ",");
    return [apart, ...rest].join(facts.language === "fr" ? "," : ".");
  };
  const rewrite = (input, text) => {
    if (input.value === text) return;
    input.value = text;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const isNumber = (element) => element.matches?.(".field.number .answer input");

  // ---- stale: what stands in the form is not what was scored ------------------------------------------------

  const contents = () =>
    facts.rows
      .map((fact) => {
        const row = rowOf(fact);
        if (fact.kind === "radio") return row.querySelector("input:checked")?.value ?? "";
        const open = row.querySelector(".not-stated input")?.checked;
        return open ? "\u0000" : ungrouped(inputOf(row).value.trim());
      });
  let scored = []; // the contents that the card on display answers
  let sent = [];
  let last = "";
  const refresh = () => {
    const now = contents();
    const changed = now.join("\u0001");
    if (changed !== last && byId("result").querySelector('[data-state="score"]')) tryOut(250);
    last = changed;
    byId("result").classList.toggle("stale", now.some((value, at) => value !== scored[at]));
    facts.rows.forEach((fact, at) => {
      if (now[at] !== scored[at]) clearError(fact);
    });
  };
  let waiting = false;
  const refreshSoon = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => requestAnimationFrame(() => { waiting = false; refresh(); }));
  };

  // ---- errors under their fields ----------------------------------------------------------------------------

  const clearError = (fact) => {
    const error = byId(`${fact.id}-error`);
    if (!error) return;
    error.remove();
    describe(fact);
  };
  const showErrors = (card) => {
    let first = null;
    for (const fact of facts.rows) {
      clearError(fact);
      const message = card.querySelector(`[data-row="${CSS.escape(fact.id)}"] .message`);
      if (!message) continue;
      const error = document.createElement("p");
      error.id = `${fact.id}-error`;
      error.className = "field-error";
      error.textContent = message.textContent;
      rowOf(fact).querySelector(".answer").after(error);
      describe(fact);
      first ??= rowOf(fact).querySelector(".answer input:not(:disabled)");
    }
    if (first) {
      first.focus({ preventScroll: true });
      first.closest(".field").scrollIntoView({ block: "nearest" });
    }
  };

  const received = () => {
    const card = byId("result").querySelector(".card");
    if (!card) return;
    scored = card.dataset.state === "intro" ? contents() : sent;
    showErrors(card);
    refresh();
    byId("announcer").textContent = card.dataset.announce ?? "";
    if (card.dataset.state === "score") tryOut(600);
    else byId("tried").querySelector(".whatif")?.remove();
  };

  // ---- what if ----------------------------------------------------------------------------------------------

  // The panel follows the form a moment after the last change, and is not asked for while clicks follow clicks.
  let field = null; // of the curve
  let timer = 0;
  const ask = (button, wish) => {
    rewrite(byId("asked").querySelector("input, textarea"), JSON.stringify(wish));
    setTimeout(() => byId(button).click());
  };
  const answers = () => JSON.parse(byId("result").querySelector('[data-state="score"]')?.dataset.answers ?? "null");
  const tryOut = (delay) => {
    clearTimeout(timer);
    timer = setTimeout(() => { if (answers()) ask("try", { answers: answers(), field }); }, delay);
  };

  // ---- a call that fails ------------------------------------------------------------------------------------

  // Left to itself Gradio would show its own English message, stop every further call, and load the page anew
  // once the server is back: what was typed would be gone. So a failed score answers with a card of ours.
  const PATIENCE = 15000; // ms
  const plainFetch = window.fetch.bind(window);
  const ownAnswer = (data) =>
    new Response(JSON.stringify({ data, is_generating: false }), {
      status: 200,
      headers: { "Content-Type": "application/json" },
    });
  const ownCard = (kind) => ownAnswer([byId(`card-${kind}`).innerHTML]);
  const ownPanel = () => ownAnswer([""]); // a what-if that fails says nothing, rather than something old
  const unchanged = () => ownAnswer(Array(Number(byId("announcer").dataset.filled)).fill({ __type__: "update" }));
  window.fetch = async (input, init) => {
    const url = String(input?.url ?? input);
    if (!url.includes("/gradio_api/run/")) return plainFetch(input, init);
    const events = byId("announcer").dataset;
    const event = String(JSON.parse(init.body).fn_index);
    const card = event === events.score ? ownCard : event === events.try ? ownPanel : unchanged;
    if (event === events.score) sent = contents();
    try {
      const answer = await plainFetch(input, { ...init, signal: AbortSignal.timeout(PATIENCE) });
      if (answer.ok) {
        // Answers that are put into the form from outside bring no event of their own.
        if (card === unchanged) for (const delay of [100, 400]) setTimeout(refresh, delay);
        return answer;
      }
      // A proxy in front of a stopped server answers for it.
      return card([502, 503, 504].includes(answer.status) ? "gone" : "failed");
    } catch {
      return card("gone");
    }
  };

  // ---- start ------------------------------------------------------------------------------------------------

  const start = () => {
    dress();
    scored = contents();
    new MutationObserver(received).observe(byId("result"), { childList: true, subtree: true });

    const form = byId("application");
    form.addEventListener("focusin", (event) => {
      if (isNumber(event.target)) rewrite(event.target, ungrouped(event.target.value));
      if (event.target.matches(".answer input:not([type=radio])")) event.target.select();
    });
    form.addEventListener("focusout", (event) => {
      if (isNumber(event.target)) rewrite(event.target, grouped(event.target.value.trim()));
    });
    // Gradio's list filters when a key goes down; a text that is pasted or dictated brings none.
    form.addEventListener("input", (event) => {
      if (event.target.matches(".field.list input"))
        event.target.dispatchEvent(new KeyboardEvent("keydown", { key: "Unidentified", bubbles: true }));
    });
    form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target.matches("[type=radio], [type=checkbox]")) byId("score").click();
    });
    for (const kind of ["input", "change", "click", "keyup", "pointerup", "focusout"])
      document.addEventListener(kind, refreshSoon, true);
    byId("tried").addEventListener("change", (event) => {
      if (!event.target.matches("#curve-field")) return;
      field = event.target.value;
      tryOut(0);
    });
    byId("tried").addEventListener("click", (event) => {
      const put = event.target.closest("button.put");
      if (put) ask("put", { answers: JSON.parse(put.dataset.answers) });
    });
    // ?of=ID: an earlier case's answers, to be corrected.
    const of = new URLSearchParams(location.search).get("of");
    if (of) {
      rewrite(byId("origin").querySelector("input, textarea"), of);
      setTimeout(() => byId("take").click(), 50);
    }
    byId("result").addEventListener("click", (event) => {
      const row = event.target.closest("a[href^='#field-']");
      if (!row) return;
      event.preventDefault();
      byId(row.hash.slice(1)).querySelector(".answer input").focus();
    });
    dispatchEvent(new Event("desk-drawn"));
    document.documentElement.dataset.desk = "ready";
  };

  const drawn = () =>
    byId("announcer") && byId("result")?.querySelector(".card") &&
    facts.rows.every((fact) => rowOf(fact)?.querySelector(".answer input"));
  const watcher = new MutationObserver(() => {
    if (!drawn()) return;
    watcher.disconnect();
    start();
  });
  watcher.observe(document.documentElement, { childList: true, subtree: true });
})();

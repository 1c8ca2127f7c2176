// @ts-check
// What Gradio leaves open: units and field errors where they belong, a result that says when it is stale, a
// failed call that keeps what was typed, what-ifs of the form's values.
(() => {
  "use strict";

  /**
   * How the server reads a number's text: `shown` as the box shows it, with what stands `before` and `after` it; or
   * `html`, what is wrong.
   * @typedef {{ shown?: string, before?: string, after?: string, html?: string }} Reading
   *
   * One field of the form; a number's is also the reading of what its box comes with.
   * @typedef {{ id: string, name: string, kind: "number" | "list" | "radio", unit: string } & Reading} Fact
   *
   * The form's contents, by field: a text, a code, or null where "not stated" is ticked.
   * @typedef {Record<string, string | null>} Contents
   */

  /** @type {{ release: string, rows: Fact[], thousands: string, untouched: string }} */
  const facts = JSON.parse(document.getElementById("desk-facts").textContent);
  // Who is logged in, by this page; empty without login. The server refuses what is asked in another's name.
  const visitor = /** @type {HTMLTemplateElement} */ (document.getElementById("visitor-now"));
  const person = /** @type {HTMLElement} */ (visitor.content.querySelector("[data-person]"))?.dataset.person ?? "";
  if (person) document.documentElement.classList.add("opening"); // the form opens empty: its example is not shown first
  /** @type {(id: string) => HTMLElement} */
  const byId = (id) => document.getElementById(id);
  /** @type {(fact: Fact) => HTMLElement} */
  const rowOf = (fact) => byId(fact.id);
  /** @type {(row: HTMLElement) => HTMLInputElement} */
  const inputOf = (row) => row.querySelector(".answer input");

  // Any element within, as an input: of most only the dataset or the focus is wanted.
  /** @type {(root: ParentNode, selector: string) => HTMLInputElement} */
  const within = (root, selector) => root.querySelector(selector);
  /** @type {(event: Event) => HTMLInputElement} what an event happened to */
  const targetOf = (event) => /** @type {HTMLInputElement} */ (event.target);

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
        // One name a group: the arrow keys walk within it, and Tab passes it as one stop. Gradio gives each button a
        // name of its own again whenever it fills the form.
        const oneName = () => {
          for (const input of group.querySelectorAll("input")) if (input.name !== fact.id) input.name = fact.id;
        };
        oneName();
        new MutationObserver(oneName).observe(group, { attributeFilter: ["name"], childList: true, subtree: true });
      } else {
        const input = inputOf(row);
        input.id = `${fact.id}-input`;
        input.setAttribute("aria-label", name.textContent.trim() + (fact.unit ? ` (${fact.unit})` : ""));
        if (fact.kind === "number") {
          input.inputMode = "decimal";
          know(fact, fact.shown, fact);
          frame(fact, fact);
        } else {
          input.setAttribute("role", "combobox");
          input.setAttribute("aria-autocomplete", "list");
        }
      }
      describe(fact);
    }
    const around = byId("reference"); // no field of the release, and only there where it can be recorded
    if (around) {
      const input = around.querySelector("input, textarea");
      const help = around.querySelector(".info-text");
      input.setAttribute("aria-label", around.querySelector('[data-testid="block-info"]').textContent.trim());
      if (help) input.setAttribute("aria-describedby", (help.id = "reference-help"));
    }
  };

  /** @type {(fact: Fact) => void} */
  const describe = (fact) => {
    const row = rowOf(fact);
    const target = fact.kind === "radio" ? row.querySelector("fieldset") : inputOf(row);
    const ids = [`${fact.id}-error`, `${fact.id}-help`].filter(byId);
    if (ids.length) target.setAttribute("aria-describedby", ids.join(" "));
    else target.removeAttribute("aria-describedby");
    if (byId(`${fact.id}-error`)) target.setAttribute("aria-invalid", "true");
    else target.removeAttribute("aria-invalid");
  };

  // ---- numbers: the server says how a text is read; there is no second grammar here -------------------------

  const NUMBERS = facts.rows.filter((fact) => fact.kind === "number");
  /** @type {(input: Element) => Fact | undefined} */
  const factOf = (input) => NUMBERS.find((fact) => rowOf(fact).querySelector(".answer input") === input);
  /** @type {Map<string, Reading>} by field and text what the server said */
  const said = new Map();
  /** @type {(fact: Fact, text: string) => Reading | undefined} */
  const read = (fact, text) => said.get(`${fact.name}\n${text}`);
  /** @type {(fact: Fact, text: string, found: Reading) => void} */
  const know = (fact, text, found) => {
    said.set(`${fact.name}\n${text}`, found);
    if (found.shown !== undefined) said.set(`${fact.name}\n${found.shown}`, found);
  };
  // A number by the text that its box shows, so that "$2345" and "2,345" are one answer.
  /** @type {(fact: Fact, text: string | null) => string | null} */
  const meant = (fact, text) => read(fact, text)?.shown ?? text;
  /** @type {(fact: Fact, found: Reading) => void} */
  const frame = (fact, found) => {
    Object.assign(inputOf(rowOf(fact)).parentElement.dataset, { before: found.before, after: found.after });
  };
  /** @type {(input: HTMLInputElement, text: string) => void} */
  const rewrite = (input, text) => {
    if (input.value === text) return;
    input.value = text;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  };
  // Without the separators that the server put in, a number is easier to edit.
  /** @type {(input: HTMLInputElement) => void} */
  const edit = (input) => {
    const fact = factOf(input);
    const found = fact && read(fact, input.value);
    if (found?.shown !== input.value) return;
    const plain = found.shown.replaceAll(facts.thousands, "");
    know(fact, plain, found);
    rewrite(input, plain);
  };
  // Boxes that nobody is in get their number as it was read; what cannot be read stays. `tell`: and is explained.
  /** @type {(some: Fact[], tell?: boolean) => Promise<void>} */
  const understand = async (some, tell = false) => {
    const texts = some
      .map((fact) => /** @type {[Fact, string]} */ ([fact, inputOf(rowOf(fact)).value.trim()]))
      .filter(([, text]) => text);
    const unknown = texts.filter(([fact, text]) => !read(fact, text));
    if (unknown.length) {
      const answer = await ask("desk/read", { numbers: Object.fromEntries(unknown.map(([fact, text]) => [fact.name, text])) });
      if (answer.failed) return;
      const found = JSON.parse(answer.text);
      for (const [fact, text] of unknown) know(fact, text, found[fact.name]);
    }
    for (const [fact, text] of texts) {
      const input = inputOf(rowOf(fact));
      const found = read(fact, text);
      const isLeft = () => document.activeElement !== input && input.value.trim() === text;
      if (!isLeft()) continue;
      if (found.shown !== undefined) {
        frame(fact, found);
        rewrite(input, found.shown);
      } else if (tell) {
        onceReleased(() => {
          if (!isLeft()) return;
          showError(fact, found.html);
          byId("announcer").textContent = byId(`${fact.id}-error`).textContent;
        });
      }
    }
    refreshSoon();
  };

  // A message moves what is below it: it waits until a button that is being pressed is let go.
  let pressed = false;
  /** @type {(() => void)[]} */
  const afterwards = [];
  /** @type {(action: () => void) => void} */
  const onceReleased = (action) => { if (pressed) afterwards.push(action); else action(); };
  addEventListener("pointerdown", () => { pressed = true; }, true);
  for (const kind of ["pointerup", "pointercancel"])
    addEventListener(kind, () => {
      pressed = false;
      setTimeout(() => { for (const action of afterwards.splice(0)) action(); }, 0);
    }, true);

  // ---- the form's values -------------------------------------------------------------------------------------

  // By field: a number's or a list's text, a radio button's code, null where "not stated" is ticked.
  /** @type {() => Contents} */
  const contents = () =>
    Object.fromEntries(facts.rows.map((fact) => {
      const row = rowOf(fact);
      if (fact.kind === "radio") return [fact.name, within(row, "input:checked")?.value ?? ""];
      return [fact.name, within(row, ".not-stated input")?.checked ? null : meant(fact, inputOf(row).value.trim())];
    }));
  /** @type {() => HTMLInputElement | undefined} */
  const reference = () => byId("reference")?.querySelector("input, textarea");
  // The applicant's name or number, where the lender asks for it; the model does not see it.
  const applicant = () => /** @type {HTMLInputElement | null} */ (byId("applicant"))?.value ?? "";
  /** @type {(name: unknown) => void} */
  const nameApplicant = (name) => {
    const box = /** @type {HTMLInputElement | null} */ (byId("applicant"));
    if (box) box.value = typeof name === "string" ? name : "";
  };

  // ---- stale: the form is not what was scored     ------------------------------------------------

  /** @type {Contents} what the card on display answers */
  let scored = {};
  /** @type {(one: Contents, other: Contents) => boolean} */
  const differ = (one, other) => facts.rows.some((fact) => meant(fact, one[fact.name]) !== meant(fact, other[fact.name]));
  let last = "";
  let example = ""; // the contents that the page comes with
  const refresh = () => {
    const now = contents();
    const changed = JSON.stringify(now);
    const stale = differ(now, scored);
    if (changed !== last && base()) compare(stale ? 100 : 0);
    last = changed;
    byId("example-mark").classList.toggle("gone", changed !== example || of !== "" || person !== "");
    byId("result").classList.toggle("stale", stale);
    markUntouched(now);
    keepSoon();
    for (const fact of facts.rows) if (byId(`${fact.id}-error`)?.dataset.of !== String(now[fact.name])) clearError(fact);
  };
  let waiting = false;
  const refreshSoon = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => requestAnimationFrame(() => { waiting = false; refresh(); }));
  };

  // ---- what nobody has touched ------------------------------------------------------------------------------

  /** @type {Set<string>} names of fields that somebody has filled in, changed or chosen again */
  const touched = new Set();
  /** @type {Contents} what the form was opened with */
  let opened = {};
  /** @type {(now: Contents) => void} */
  const markUntouched = (now) => {
    for (const fact of facts.rows) {
      if (meant(fact, now[fact.name]) !== meant(fact, opened[fact.name])) touched.add(fact.name);
      rowOf(fact).toggleAttribute("data-untouched", !touched.has(fact.name));
    }
    const left = facts.rows.length - touched.size;
    byId("untouched").textContent = touched.size && left ? facts.untouched.replace("{count}", String(left)) : "";
  };
  /** @type {(names?: unknown) => void} the form as it is now is how it was opened; `names` were touched before */
  const openedNow = (names) => {
    opened = contents();
    touched.clear();
    if (Array.isArray(names)) for (const fact of facts.rows) if (names.includes(fact.name)) touched.add(fact.name);
    markUntouched(opened);
  };

  // ---- errors under their fields ----------------------------------------------------------------------------

  /** @type {(fact: Fact) => void} */
  const clearError = (fact) => {
    const error = byId(`${fact.id}-error`);
    if (!error) return;
    error.remove();
    describe(fact);
  };
  /** @type {(fact: Fact, html: string) => void} */
  const showError = (fact, html) => {
    clearError(fact);
    const error = document.createElement("p");
    error.id = `${fact.id}-error`;
    error.className = "field-error";
    error.innerHTML = html;
    error.dataset.of = String(contents()[fact.name]); // it goes once something else stands there
    rowOf(fact).querySelector(".answer").after(error);
    describe(fact);
  };
  /** @type {(card: Element) => void} */
  const showErrors = (card) => {
    /** @type {HTMLInputElement | null} */
    let first = null;
    for (const fact of facts.rows) {
      clearError(fact);
      const message = card.querySelector(`[data-row="${CSS.escape(fact.id)}"] .message`);
      if (!message) continue;
      showError(fact, message.innerHTML);
      first ??= rowOf(fact).querySelector(".answer input:not(:disabled)");
    }
    if (first) {
      first.focus({ preventScroll: true });
      first.closest(".field").scrollIntoView({ block: "nearest" });
    }
  };

  // ---- asking the server ------------------------------------------------------------------------------------

  // In a demonstration: what a visitor does is kept for them alone, in a visit (visits.js).
  /** @type {{ send: typeof fetch, begun: boolean, token: string, startOver: () => void } | undefined} */
  const visits = /** @type {any} */ (window).tenfoldVisits;
  const PATIENCE = 15000; // ms
  /** @type {(path: string, wish?: object) => Promise<{ text?: string, failed?: string }>} an answer's text, or how it `failed` */
  const ask = async (path, wish) => {
    try {
      const answer = await (visits?.send ?? fetch)(path, {
        ...(wish && {
          method: "POST",
          headers: { "Content-Type": "application/json" },
          body: JSON.stringify({ ...wish, as: person, release: facts.release }),
          keepalive: path === "desk/keep" || path === "desk/discard", // the page may be left meanwhile
        }),
        signal: /** @type {any} */ (AbortSignal).timeout(PATIENCE),
      });
      if (answer.ok) return { text: await answer.text() };
      if (answer.status === 401) return { failed: "out" };
      if (answer.status === 412) return { failed: "other" }; // somebody else is logged in by now
      if (answer.status === 409) return { failed: "replaced" }; // another release serves
      if (answer.status === 410) return { failed: "ended" }; // a demonstration's visit
      // A proxy in front of a stopped server answers for it.
      return { failed: [502, 503, 504].includes(answer.status) ? "gone" : "failed" };
    } catch {
      return { failed: "gone" };
    }
  };

  // A request that takes longer than a glance shows itself, and the button waits for it.
  const GLANCE = 80; // ms
  let busyTimer = 0;
  /** @type {(on: boolean) => void} */
  const busy = (on) => {
    clearTimeout(busyTimer);
    const show = () => {
      byId("outcome").setAttribute("aria-busy", String(on));
      byId("score").setAttribute("aria-disabled", String(on));
    };
    if (on) busyTimer = setTimeout(show, GLANCE);
    else if (byId("outcome").getAttribute("aria-busy") === "true") show();
  };

  let turn = 0;
  let underWay = 0; // the turn whose answer has not come
  let of = ""; // the case whose answers are being corrected
  let seen = ""; // its last record, when its answers were put into the form, or in the card on display
  /** @type {(confirmed?: string[]) => Promise<void>} `confirmed`: questions about the answers on display that were answered */
  const score = async (confirmed = []) => {
    if (underWay && underWay === turn) return;
    const mine = underWay = ++turn;
    const sent = contents();
    seen = within(byId("result"), '[data-state="score"] [data-seen]')?.dataset.seen ?? seen;
    busy(true);
    const answer = await ask("desk/score", {
      answers: sent, reference: reference()?.value ?? "", applicant: applicant(), key, of, seen, confirmed,
    });
    if (mine !== turn) return;
    underWay = 0;
    busy(false);
    if (answer.failed === "replaced") redraw();
    else show(answer.failed ? byId(`card-${answer.failed}`).innerHTML : answer.text, sent);
  };
  // The page for the release that serves now, with what was typed: sent along in the request's body, and so in no
  // address and no storage.
  let leaving = false;
  const redraw = () => {
    const now = contents();
    const rows = facts.rows.map(({ id, name, kind, unit }) => {
      const row = byId(id);
      const label = row.querySelector('[data-testid="block-info"]').textContent.trim();
      const text = kind === "radio" ? within(row, "input:checked")?.closest("label")?.textContent.trim() : now[name];
      return { name, kind, unit, label, value: now[name], text };
    });
    post(location.pathname, "typed", { rows, reference: reference()?.value, applicant: applicant(), case: of !== "" });
  };
  // The page in another language, where no server keeps what is typed: it goes along in the same way.
  /** @type {(link: HTMLAnchorElement) => void} */
  const switchTo = (link) => {
    const carried = { ...JSON.parse(draft()), release: facts.release, language: document.documentElement.lang };
    post(link.href, "kept", { key, draft: carried, visit: visits?.begun ? visits.token : "" });
  };
  /** @type {(target: string, name: string, content: object) => void} leave this page for one that is sent what was typed */
  const post = (target, name, content) => {
    const form = document.createElement("form");
    const input = document.createElement("input");
    Object.assign(form, { method: "post", action: target, hidden: true });
    Object.assign(input, { name, value: JSON.stringify(content) });
    form.append(input);
    document.body.append(form);
    leaving = true;
    form.submit();
  };
  /** @type {(html: string, contents: Contents) => void} */
  const show = (html, contents) => {
    byId("result").innerHTML = html;
    const card = within(byId("result"), ".card");
    byId("now").replaceChildren();
    scored = contents;
    lift(card);
    showErrors(card);
    byId("announcer").textContent = card.dataset.announce ?? "";
    if (card.dataset.state === "score") tryOut(600);
    else byId("tried").replaceChildren();
    understand(NUMBERS);
    refresh();
  };

  // What a person has decided stands above what the model suggested; on a phone too, in the line that stays.
  /** @type {(card: Element) => void} */
  const lift = (card) => {
    const decided = card?.querySelector(".decide .decided");
    if (!decided) return;
    card.querySelector(":scope > div").prepend(decided.closest(".decide"));
    card.querySelector(":scope > .bar").replaceChildren(decided.querySelector(".decision").cloneNode(true));
  };

  // ---- the form beside what was scored ----------------------------------------------------------------------

  let compareTimer = 0;
  let compared = 0;
  /** @type {(delay: number) => void} */
  const compare = (delay) => {
    clearTimeout(compareTimer);
    const mine = ++compared;
    compareTimer = setTimeout(async () => {
      if (!base()) return;
      const answer = differ(contents(), scored) ? await ask("desk/compare", { answers: contents(), base: base() }) : { text: "" };
      if (mine !== compared || !base()) return;
      byId("now").innerHTML = answer.text ?? ""; // one that fails says nothing, rather than something old
      if (answer.text !== "" || !differ(contents(), scored)) return;
      scored = contents(); // other texts, the same answers
      refreshSoon();
    }, delay);
  };

  // ---- what if ----------------------------------------------------------------------------------------------

  // The panel is of what was scored; it is not asked for while clicks follow clicks.
  /** @type {string | null} of the curve */
  let field = null;
  let timer = 0;
  let tries = 0;
  const base = () => JSON.parse(within(byId("result"), '[data-state="score"]')?.dataset.answers ?? "null");
  /** @type {(delay: number) => void} */
  const tryOut = (delay) => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      if (!base()) return;
      const mine = ++tries;
      const answer = await ask("desk/try", { base: base(), field });
      if (mine !== tries || !base()) return;
      const focused = document.activeElement?.id === "curve-field";
      byId("tried").innerHTML = answer.text ?? "";
      if (focused) byId("curve-field")?.focus();
      const bars = byId("tried").querySelector(".bars");
      /** @type {HTMLElement} */
      const own = bars?.querySelector("tr.own");
      if (own) bars.scrollTop = own.offsetTop - bars.clientHeight / 2; // both from the top of the table
    }, delay);
  };

  // Gradio fills its widgets from `deskValues` when its hidden button is pressed; that brings no event of its own.
  /** @type {(values: unknown[]) => void} */
  const fill = (values) => {
    Object.assign(window, { deskValues: values });
    byId("put").click();
    for (const delay of [100, 400]) setTimeout(refresh, delay);
    setTimeout(() => understand(NUMBERS), 400);
  };
  /** @type {(values: string) => void} another form's answers (JSON); the reference stays */
  const put = (values) => {
    const wanted = JSON.parse(values);
    fill(reference() ? [...wanted.slice(0, -1), reference().value] : wanted);
  };
  /** @type {(id: string) => Promise<void>} */
  const take = async (id) => {
    const answer = await ask("desk/take", { of: id });
    if (answer.failed === "replaced") return location.reload();
    if (answer.failed) return show(byId(`card-${answer.failed}`).innerHTML, contents());
    const found = JSON.parse(answer.text);
    byId("correcting").innerHTML = found.html;
    if (!found.values) return;
    of = id;
    seen = found.seen;
    nameApplicant(found.applicant);
    fill(found.values);
    await openedAs(() => shows(found.values));
  };

  // A row of a file, which is scored at once; a second time only if somebody asks for it.
  /** @type {(file: string, place: string) => Promise<void>} */
  const open = async (file, place) => {
    history.replaceState(null, "", location.pathname);
    const answer = await ask(`batch/${file}/row?n=${place}`);
    if (answer.failed) return show(byId(`card-${answer.failed}`).innerHTML, contents());
    const row = JSON.parse(answer.text);
    byId("correcting").innerHTML = row.html;
    fill(row.values);
    await openedAs(() => shows(row.values));
    await score();
  };

  /** @type {Contents} what was put into the form, and not typed */
  let untouched = {};
  /** @type {(done: () => boolean) => Promise<void>} once Gradio has filled its widgets, or a second later */
  const drawnAs = (done) => new Promise((resolve) => {
    const until = performance.now() + 1000;
    const look = () => {
      if (done() || performance.now() > until) resolve();
      else requestAnimationFrame(look);
    };
    look();
  });
  /** @type {(done: () => boolean) => Promise<void>} the form, once it is filled so, is as nobody has touched it */
  const openedAs = async (done) => {
    await drawnAs(done);
    untouched = contents();
    openedNow();
    refresh();
    understand(NUMBERS);
  };
  const isEmpty = () => Object.values(contents()).every((answer) => answer === "");
  const isExample = () => JSON.stringify(contents()) === example;

  // ---- the form's key, and what is kept of it ---------------------------------------------------------------

  // The key ties the scores of one form to one case. It is random, and all that a browser keeps, for a reload.
  const TAB = "tenfold-form";
  const mint = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  let key = "";
  /** @type {(name: string) => void} */
  const useKey = (name) => {
    key = name;
    try { sessionStorage.setItem(TAB, key); } catch { /* a private window */ }
  };
  const keyOfTab = () => { try { return sessionStorage.getItem(TAB) ?? ""; } catch { return ""; } };

  let keepTimer = 0;
  let kept = ""; // what the server has
  let lost = false; // it could not be sent
  const decision = () => {
    /** @type {HTMLFormElement} */
    const form = byId("result").querySelector(".deciding:not([data-action=arrange])");
    const own = ["up", "seen", "as", "name"];
    return form ? [.../** @type {any} */ (new FormData(form))].filter(([name]) => !own.includes(name)) : [];
  };
  const draft = () => JSON.stringify({
    answers: contents(), reference: reference()?.value ?? "", applicant: applicant(), touched: [...touched], of, seen, decision: decision(),
    case: within(byId("result"), '[data-state="score"] [data-record]')?.dataset.record.split("/").pop() ?? "",
    scored: base() !== null,
    stale: differ(contents(), scored),
  });
  const keep = async () => {
    clearTimeout(keepTimer);
    const now = draft();
    if (!drawnOnce || now === kept || !(touched.size || reference()?.value || applicant())) return;
    kept = now;
    const answer = await ask("desk/keep", { id: key, draft: JSON.parse(now) });
    lost = answer.text === undefined || !JSON.parse(answer.text).kept;
  };
  const keepSoon = () => {
    if (!person) return;
    clearTimeout(keepTimer);
    keepTimer = setTimeout(keep, 400);
  };
  const discard = (id = key) => {
    clearTimeout(keepTimer);
    kept = draft();
    if (person && id) ask("desk/discard", { id });
  };
  /** @type {(values: unknown[]) => boolean} whether the widgets show these values; of a list only whether it has one */
  const shows = (values) => facts.rows.every((fact, at) => {
    if (fact.kind === "list") return Boolean(inputOf(rowOf(fact)).value) === Boolean(values[at]);
    if (fact.kind === "radio") return (within(rowOf(fact), "input:checked")?.value ?? null) === (values[at] ?? null);
    return inputOf(rowOf(fact)).value === (values[at] ?? "");
  });
  /** @type {(form: any) => Promise<void>} a form that was begun, as it was left */
  const goOn = async (form) => {
    Object.assign(window, { deskValues: form.values });
    byId("put").click();
    await drawnAs(() => shows(form.values));
    openedNow(form.touched);
    nameApplicant(form.applicant);
    of = form.of ?? "";
    seen = form.seen ?? "";
    byId("unfinished").replaceChildren();
    if (form.card) {
      show(form.card, form.stale ? {} : contents());
      for (const [name, value] of form.decision ?? []) {
        /** @type {NodeListOf<HTMLInputElement>} */
        const inputs = byId("result").querySelectorAll(`.deciding [name="${CSS.escape(name)}"]`);
        for (const input of inputs)
          if (!input.matches("[type=radio], [type=checkbox]")) input.value = value;
          else if (input.value === value) input.checked = true;
      }
    }
    kept = draft();
    await understand(NUMBERS);
  };
  /** @type {(id: string, correcting?: string) => Promise<boolean>} whether there was such a form, and not of another case
      than the one that is being corrected; otherwise the others are listed */
  const findDraft = async (id, correcting = "") => {
    const answer = await ask("desk/drafts", { id });
    if (answer.failed) return false;
    const found = JSON.parse(answer.text);
    if (!correcting) byId("unfinished").innerHTML = found.html;
    if (!found.form || (correcting && found.form.of !== correcting)) return false;
    if (found.form.correcting) byId("correcting").innerHTML = found.form.correcting;
    useKey(id);
    await goOn(found.form);
    return true;
  };
  /** @type {(kept: { key: string, draft: any, visit: string }) => Promise<void>} the form as it was in the other language */
  const goOnWith = async ({ key: name, draft: carried, visit }) => {
    if (visits) visits.token = visit;
    const answer = await ask("desk/drafts", { id: name, draft: carried });
    const form = answer.failed ? null : JSON.parse(answer.text).form;
    useKey(name);
    if (!form) return;
    if (form.correcting) byId("correcting").innerHTML = form.correcting;
    await goOn({ ...form, stale: carried.stale });
    if (carried.scored && !form.card && !carried.stale && !carried.case) await score(); // nothing recorded it
  };
  const stopCorrecting = () => {
    of = seen = "";
    byId("correcting").replaceChildren();
    if (location.search) history.replaceState(null, "", location.pathname);
  };

  // ---- start ------------------------------------------------------------------------------------------------

  let drawnOnce = false; // the form is as it was opened, and what changes from now on was typed
  const start = async () => {
    for (const name of ["visitor", "banner"]) byId(name).innerHTML = byId(`${name}-now`).innerHTML;
    const count = document.querySelector("#header .count"); // not without a ledger
    if (count) count.textContent = visitor.dataset.count;
    dress();
    scored = contents();
    example = JSON.stringify(scored);
    openedNow();
    const intro = byId("result").innerHTML;

    const form = byId("application");
    form.addEventListener("focusin", (event) => {
      const input = targetOf(event);
      edit(input);
      if (input.matches(".answer input:not([type=radio])")) input.select();
    });
    form.addEventListener("focusout", (event) => {
      const fact = factOf(targetOf(event));
      if (fact) understand([fact], true);
    });
    // Gradio's list filters when a key goes down; a text that is pasted or dictated brings none.
    form.addEventListener("input", (event) => {
      if (targetOf(event).matches(".field.list input"))
        event.target.dispatchEvent(new KeyboardEvent("keydown", { key: "Unidentified", bubbles: true }));
    });
    // It then marks the first choice that has the text anywhere: "WA" would be Delaware. Enter picks the one that
    // begins with what was typed, unless somebody walked to another with the arrow keys.
    let walked = false;
    form.addEventListener("keydown", (event) => {
      if (!targetOf(event).matches(".field.list input") || event.key === "Unidentified") return;
      const typed = targetOf(event).value.trim().toLowerCase();
      if (event.key !== "Enter") walked = event.key.startsWith("Arrow");
      if (event.key !== "Enter" || walked || !typed) return;
      const choices = [...document.querySelectorAll("ul.option-list li")];
      /** @type {(start: string) => Element | undefined} */
      const begins = (start) => choices.find((one) => one.textContent.replace("✓", "").trim().toLowerCase().startsWith(start));
      const best = begins(`${typed} —`) ?? begins(typed);
      if (!best) return;
      event.preventDefault();
      event.stopPropagation();
      best.dispatchEvent(new MouseEvent("mousedown", { bubbles: true, cancelable: true }));
    }, true);
    form.addEventListener("keydown", (event) => {
      // In a list Enter picks what is marked.
      if (event.key === "Enter" && targetOf(event).matches("input, textarea") && !targetOf(event).closest(".field.list")) {
        event.preventDefault();
        if (!event.repeat) score();
      }
    });
    // The second click of a double one, or a key held down, would record the same application again.
    byId("score").addEventListener("click", (event) => { if (event.detail < 2) score(); });
    byId("reset").addEventListener("click", () => {
      turn += 1; // whatever is under way is no longer wanted
      busy(false);
      stopCorrecting(); // what is typed next is somebody else's
      nameApplicant("");
      discard();
      useKey(mint());
      show(intro, contents());
      openedAs(isEmpty).then(() => { scored = contents(); refresh(); inputOf(rowOf(facts.rows[0])).focus(); });
    });
    if (visits) {
      byId("result").addEventListener("click", (event) => { // a visit that is full is given up for a new one
        if (!targetOf(event).matches(".start-over")) return;
        visits.startOver();
        stopCorrecting();
        useKey(mint());
        score();
      });
      addEventListener("visit-correct", (event) => { take(/** @type {CustomEvent} */ (event).detail); });
      document.addEventListener("click", (event) => { // to this page itself: loading it would end the visit
        const link = targetOf(event).closest?.("a");
        if (!link || link.target || link.hreflang || new URL(link.href).pathname !== location.pathname || link.hash) return;
        event.preventDefault();
        if (link.closest("#correcting")) byId("reset").click();
      });
    }
    // A question about odd answers: they are right, and that is recorded with the same answers; or they are changed.
    byId("result").addEventListener("click", (event) => {
      const { confirm, change } = targetOf(event).dataset;
      if (change) inputOf(byId(change)).focus();
      if (!confirm) return;
      const others = [...byId("result").querySelectorAll("[data-confirmed]")].map((one) => /** @type {HTMLElement} */ (one).dataset.confirmed);
      score([...others, confirm]);
    });
    for (const kind of ["input", "change", "click", "keyup", "pointerup", "focusout"])
      document.addEventListener(kind, refreshSoon, true);
    document.addEventListener("click", (event) => {
      /** @type {HTMLElement} */
      const reading = targetOf(event).closest?.("button.reading");
      if (!reading) return;
      const input = inputOf(byId(reading.dataset.row));
      rewrite(input, reading.dataset.text);
      input.focus();
      refreshSoon();
    });
    byId("tried").addEventListener("change", (event) => {
      const choice = targetOf(event);
      if (!choice.matches("#curve-field")) return;
      field = choice.value;
      tryOut(0);
    });
    byId("tried").addEventListener("click", (event) => {
      /** @type {HTMLElement} */
      const proposal = targetOf(event).closest("button.put");
      const values = proposal?.dataset.values;
      if (!values) return;
      put(values);
    });
    byId("now").addEventListener("click", (event) => {
      /** @type {HTMLElement} */
      const button = targetOf(event).closest("button");
      if (button?.matches(".score-now")) score();
      if (button?.matches(".put")) put(button.dataset.values);
    });
    // Without login another language, a reload or a closed tab takes along what was typed: the browser asks first.
    addEventListener("beforeunload", (event) => {
      if (person && !lost) return; // the server keeps it
      const now = contents();
      const shown = byId("result").querySelector('[data-state="score"]') && !differ(now, scored);
      /** @type {NodeListOf<HTMLTextAreaElement>} */
      const areas = document.querySelectorAll(".deciding textarea");
      const begun = [...areas].some((one) => one.value.trim());
      if (leaving) return;
      if (visits?.begun) { event.preventDefault(); return; } // its cases would be gone
      if (begun || !(shown || !differ(now, untouched))) event.preventDefault();
    });
    addEventListener("pagehide", () => { if (person) keep(); });
    form.addEventListener("click", (event) => {
      // An answer that is chosen again, or ticked, was looked at.
      const row = targetOf(event).closest?.(".field");
      const fact = facts.rows.find((one) => one.id === row?.id);
      if (!event.isTrusted || !fact || !targetOf(event).matches("input[type=radio], input[type=checkbox]")) return;
      touched.add(fact.name);
      refreshSoon();
    });
    form.addEventListener("beforeinput", (event) => {
      const fact = factOf(targetOf(event));
      if (fact && event.isTrusted) touched.add(fact.name); // typed anew, even if it is the same number
    });
    byId("result").addEventListener("input", keepSoon);
    addEventListener("section-replaced", (event) => {
      /** @type {Element} */
      const section = /** @type {CustomEvent} */ (event).detail;
      if (!section.querySelector(".decided")) return;
      lift(section.closest(".card"));
      discard();
    });
    byId("unfinished").addEventListener("click", (event) => {
      /** @type {HTMLElement} */
      const button = targetOf(event).closest("button[data-draft]");
      if (!button) return;
      if (button.matches(".go-on")) { findDraft(button.dataset.draft); return; }
      ask("desk/discard", { id: button.dataset.draft });
      const list = button.closest("ul");
      button.closest("li").remove();
      if (!list.children.length) byId("unfinished").replaceChildren();
    });
    untouched = scored;
    byId("example").addEventListener("click", () => {
      discard();
      useKey(mint());
      stopCorrecting();
      nameApplicant("");
      openedAs(isExample); // Gradio fills the form in a moment
    });
    if (!person)
      document.querySelector("#header .languages").addEventListener("click", (event) => {
        /** @type {HTMLAnchorElement} */
        const link = targetOf(event).closest("a[hreflang]");
        if (!link || /** @type {MouseEvent} */ (event).ctrlKey || /** @type {MouseEvent} */ (event).metaKey) return;
        event.preventDefault();
        switchTo(link);
      });
    // Drawn in place of a form for another release.
    const before = byId("desk-typed");
    if (before) {
      const typed = JSON.parse(before.textContent);
      history.replaceState(null, "", location.pathname); // a reload must not send it again
      byId("correcting").innerHTML = typed.html;
      byId("correcting").scrollIntoView({ block: "nearest" });
      nameApplicant(typed.applicant);
      fill(typed.values);
    }
    // Drawn in another language than the form was begun in.
    const kept = byId("desk-kept");
    if (kept) {
      const begun = JSON.parse(kept.textContent);
      kept.remove();
      history.replaceState(null, "", location.href); // a reload must not send it again
      await goOnWith(begun);
    }
    // ?of=ID: an earlier case's answers, to be corrected.
    const id = new URLSearchParams(location.search).get("of");
    if (id) await take(id);
    // ?draft=KEY: a form that was begun, from the page Work.
    const begun = new URLSearchParams(location.search).get("draft");
    if (begun) history.replaceState(null, "", location.pathname);
    if (!before && person && !(await findDraft(begun ?? keyOfTab(), id ?? "")) && !id) {
      byId("reset").click();
      await openedAs(isEmpty);
      scored = contents();
    }
    if (!key) useKey(mint());
    // ?row=FILE.PLACE: a row of a file.
    const [file, place] = (new URLSearchParams(location.search).get("row") ?? "").split(".");
    if (/^[0-9a-f]{32}$/.test(file) && /^[0-9]+$/.test(place ?? "")) open(file, place);
    byId("result").addEventListener("click", (event) => {
      if (targetOf(event).closest("a.new")) {
        event.preventDefault();
        byId("reset").click();
        return;
      }
      /** @type {HTMLAnchorElement} */
      const row = targetOf(event).closest("a[href^='#field-']");
      if (!row) return;
      event.preventDefault();
      inputOf(byId(row.hash.slice(1))).focus();
    });
    drawnOnce = true;
    new ResizeObserver(() => {
      const stays = getComputedStyle(byId("header")).position === "sticky"; // not on a small screen
      document.documentElement.style.setProperty("--head", `${stays ? byId("header").offsetHeight : 0}px`);
    }).observe(byId("header"));
    document.documentElement.classList.remove("opening");
    dispatchEvent(new Event("desk-drawn"));
    document.documentElement.dataset.desk = "ready";
    refresh();
  };

  const drawn = () =>
    byId("announcer") && byId("score") && byId("reset") && byId("example") && byId("put") && byId("result")?.querySelector(".card") &&
    facts.rows.every((fact) => rowOf(fact)?.querySelector(".answer input"));
  const watcher = new MutationObserver(() => {
    if (!drawn()) return;
    watcher.disconnect();
    start();
  });
  watcher.observe(document.documentElement, { childList: true, subtree: true });
})();

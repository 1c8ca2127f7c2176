// The desk: what Gradio leaves open. Units and field errors where they belong, a result that says when it is stale, a
// failed call that keeps what was typed, what-ifs of the form's values. The server joins these modules into desk.js,
// each after those that it imports (web/pages/assets.py).
import { ask, visits } from "./asking.js";
import { lift, showCurve } from "./card.js";
import { discard, findDraft, goOn, keyOfTab, listenToDrafts, useNewKey } from "./drafts.js";
import { contents, nameApplicant } from "./form.js";
import { listenToLeaving } from "./leaving.js";
import { listenToNumbers } from "./numbers.js";
import { byId, inputOf, person, targetOf, visitor } from "./page.js";
import { listenToButtons, listenToVisit, score, scoreRow, take } from "./scoring.js";
import { refresh, refreshSoon, state } from "./state.js";
import { listenToTouches, openedNow } from "./untouched.js";
import { areDrawn, dress, fill, listenToLists, openedEmpty, put } from "./widgets.js";

const start = async () => {
  for (const name of ["visitor", "banner"]) byId(name).innerHTML = byId(`${name}-now`).innerHTML;
  const count = document.querySelector("#header .count"); // not without a ledger
  if (count) count.textContent = visitor.dataset.count;
  dress();
  state.scored = state.put = contents();
  state.example = JSON.stringify(state.scored);
  openedNow();

  const form = byId("application");
  listenToNumbers(form);
  listenToLists(form);
  listenToTouches(form);
  listenToButtons(form, byId("result").innerHTML);
  if (visits) listenToVisit();
  listenToCard();
  listenToDrafts();
  listenToLeaving();
  for (const kind of ["input", "change", "click", "keyup", "pointerup", "focusout"])
    document.addEventListener(kind, refreshSoon, true);

  await open();
  state.open = true;
  new ResizeObserver(() => {
    const stays = getComputedStyle(byId("header")).position === "sticky"; // not on a small screen
    document.documentElement.style.setProperty("--head", `${stays ? byId("header").offsetHeight : 0}px`);
  }).observe(byId("header"));
  document.documentElement.classList.remove("opening");
  dispatchEvent(new Event("desk-drawn"));
  document.documentElement.dataset.desk = "ready";
  refresh();
};

const NEW = "new"; // no form's key: an empty form
// What the form opens with.
const open = async () => {
  const asked = new URLSearchParams(location.search);
  const before = read("desk-typed"); // drawn in place of a form for another release
  if (before) {
    byId("correcting").innerHTML = before.html;
    byId("correcting").scrollIntoView({ block: "nearest" });
    nameApplicant(before.applicant);
    fill(before.values);
  }
  const begun = read("desk-kept"); // drawn in another language than the form was begun in
  if (begun) await goOnWith(begun);
  const id = asked.get("of"); // ?of=ID: an earlier case's answers, to be corrected
  if (id) await take(id);
  const [file, place] = (asked.get("row") ?? "").split("."); // ?row=FILE.PLACE: a row of a file, a case of its own
  const isRow = /^[0-9a-f]{32}$/.test(file) && /^[0-9]+$/.test(place ?? "");
  const draft = asked.get("draft") ?? (isRow ? NEW : keyOfTab()); // ?draft=KEY: a form that was begun, from the page Work
  if (asked.has("draft")) history.replaceState(null, "", location.pathname);
  if (!before && person && !(await findDraft(draft, id ?? "")) && !id) {
    byId("reset").click();
    await openedEmpty();
    state.scored = contents();
  }
  if (!state.key) useNewKey();
  if (isRow) scoreRow(file, place);
};
/** @type {(id: string) => any} what was sent to this page, once: a reload must not send it again */
const read = (id) => {
  const element = byId(id);
  if (!element) return null;
  element.remove();
  history.replaceState(null, "", id === "desk-typed" ? location.pathname : location.href);
  return JSON.parse(element.textContent);
};
/** @type {(kept: { key: string, draft: any, visit: string }) => Promise<void>} the form as it was in the other language */
const goOnWith = async ({ key, draft: carried, visit }) => {
  if (visits) visits.token = visit;
  const answer = await ask("desk/drafts", { id: key, draft: carried });
  const form = answer.failed ? null : JSON.parse(answer.text).form;
  await goOn(key, form && { ...form, stale: carried.stale });
  if (form && carried.scored && !form.card && !carried.stale && !carried.case) await score(); // nothing recorded it
};

const listenToCard = () => {
  const result = byId("result");
  result.addEventListener("click", (event) => {
    // A question about odd answers: they are right, and that is recorded with the same answers; or they are changed.
    const { confirm, change } = targetOf(event).dataset;
    if (change) inputOf(byId(change)).focus();
    if (confirm) {
      const others = [...result.querySelectorAll("[data-confirmed]")].map((one) => /** @type {HTMLElement} */ (one).dataset.confirmed);
      score([...others, confirm]);
    }
    if (targetOf(event).closest("a.new")) {
      event.preventDefault();
      byId("reset").click();
      return;
    }
    /** @type {HTMLAnchorElement} */
    const field = targetOf(event).closest("a[href^='#field-']");
    if (!field) return;
    event.preventDefault();
    inputOf(byId(field.hash.slice(1))).focus();
  });
  addEventListener("section-replaced", (event) => {
    /** @type {Element} */
    const section = /** @type {CustomEvent} */ (event).detail;
    if (!section.querySelector(".decided")) return;
    lift(section.closest(".card"));
    discard();
  });
  byId("tried").addEventListener("change", (event) => {
    if (targetOf(event).matches("#curve-field")) showCurve(targetOf(event).value);
  });
  byId("tried").addEventListener("click", (event) => {
    const values = /** @type {HTMLElement} */ (targetOf(event).closest("button.put"))?.dataset.values;
    if (values) put(values);
  });
  byId("now").addEventListener("click", (event) => {
    /** @type {HTMLElement} */
    const button = targetOf(event).closest("button");
    if (button?.matches(".score-now")) score();
    if (button?.matches(".put")) put(button.dataset.values);
  });
};

const watcher = new MutationObserver(() => {
  if (!areDrawn()) return;
  watcher.disconnect();
  start();
});
watcher.observe(document.documentElement, { childList: true, subtree: true });

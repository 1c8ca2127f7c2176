// A form is scored, begun anew, filled from an earlier case or from a row of a file.
import { ask, visits } from "./asking.js";
import { busy, show } from "./card.js";
import { discard, useNewKey } from "./drafts.js";
import { applicant, contents, nameApplicant, reference } from "./form.js";
import { byId, facts, inputOf, rowOf, targetOf, within } from "./page.js";
import { refresh, state } from "./state.js";
import { redraw } from "./leaving.js";
import { openWith, openedEmpty, openedWithExample } from "./widgets.js";

let turn = 0;
let underWay = 0; // the turn whose answer has not come
/** @type {(confirmed?: string[]) => Promise<void>} `confirmed`: questions about the answers on display that were answered */
export const score = async (confirmed = []) => {
  if (underWay && underWay === turn) return;
  const mine = underWay = ++turn;
  const sent = contents();
  state.seen = within(byId("result"), '[data-state="score"] [data-seen]')?.dataset.seen ?? state.seen;
  busy(true);
  const answer = await ask("desk/score", {
    answers: sent, reference: reference()?.value ?? "", applicant: applicant(),
    key: state.key, of: state.of, seen: state.seen, confirmed,
  });
  if (mine !== turn) return;
  underWay = 0;
  busy(false);
  if (answer.failed === "replaced") redraw();
  else show(answer.failed ? byId(`card-${answer.failed}`).innerHTML : answer.text, sent);
};

const stopCorrecting = () => {
  state.of = state.seen = "";
  byId("correcting").replaceChildren();
  if (location.search) history.replaceState(null, "", location.pathname);
};
/** @type {(id: string) => Promise<void>} an earlier case's answers, to be corrected */
export const take = async (id) => {
  const answer = await ask("desk/take", { of: id });
  if (answer.failed === "replaced") return location.reload();
  if (answer.failed) return show(byId(`card-${answer.failed}`).innerHTML, contents());
  const found = JSON.parse(answer.text);
  byId("correcting").innerHTML = found.html;
  if (!found.values) return;
  state.of = found.seen && id; // once it is decided, what is scored next is another case
  state.seen = found.seen;
  nameApplicant(found.applicant);
  await openWith(found.values);
  if (found.card) show(found.card, contents());
};
/** @type {(file: string, place: string) => Promise<void>} a row of a file, scored at once; again only if somebody asks */
export const scoreRow = async (file, place) => {
  history.replaceState(null, "", location.pathname);
  const answer = await ask(`batch/${file}/row?n=${place}`);
  if (answer.failed) return show(byId(`card-${answer.failed}`).innerHTML, contents());
  const row = JSON.parse(answer.text);
  byId("correcting").innerHTML = row.html;
  await openWith(row.values);
  await score();
};

/** @type {(form: HTMLElement, intro: string) => void} `intro`: the card that the page comes with */
export const listenToButtons = (form, intro) => {
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
    useNewKey();
    show(intro, contents());
    openedEmpty().then(() => { state.scored = contents(); refresh(); inputOf(rowOf(facts.rows[0])).focus(); });
  });
  byId("correcting").addEventListener("click", (event) => { // given up: what was typed is no unfinished form
    if (!targetOf(event).closest("a.stop")) return;
    event.preventDefault();
    byId("reset").click();
  });
  byId("example").addEventListener("click", () => {
    discard();
    useNewKey();
    stopCorrecting();
    nameApplicant("");
    openedWithExample(); // Gradio fills the form in a moment
  });
};

// In a demonstration.
export const listenToVisit = () => {
  byId("result").addEventListener("click", (event) => { // a visit that is full is given up for a new one
    if (!targetOf(event).matches(".start-over")) return;
    visits.startOver();
    stopCorrecting();
    useNewKey();
    score();
  });
  addEventListener("visit-correct", (event) => { take(/** @type {CustomEvent} */ (event).detail); });
  document.addEventListener("click", (event) => { // to this page itself: loading it would end the visit
    const link = targetOf(event).closest?.("a");
    if (!link || link.target || link.hreflang || new URL(link.href).pathname !== location.pathname || link.hash) return;
    event.preventDefault();
  });
};

// The card: what was scored, what the form would be scored by now, and what else could be asked.
import { ask } from "./asking.js";
import { clearAnswered, contents, differ, showErrors } from "./form.js";
import { NUMBERS, understand } from "./numbers.js";
import { byId, person, within } from "./page.js";
import { onRefresh, refresh, refreshSoon, state } from "./state.js";

/** @typedef {import("./page.js").Contents} Contents */

/** the answers that the card on display was scored by, or null */
export const base = () => JSON.parse(within(byId("result"), '[data-state="score"]')?.dataset.answers ?? "null");

/** @type {(html: string, contents: Contents) => void} */
export const show = (html, contents) => {
  byId("result").innerHTML = html;
  const card = within(byId("result"), ".card");
  byId("now").replaceChildren();
  state.scored = contents;
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
export const lift = (card) => {
  const decided = card?.querySelector(".decide .decided");
  if (!decided) return;
  card.querySelector(":scope > div").prepend(decided.closest(".decide"));
  card.querySelector(":scope > .bar").replaceChildren(decided.querySelector(".decision").cloneNode(true));
};

// A request that takes longer than a glance shows itself, and the button waits for it.
const GLANCE = 80; // ms
let busyTimer = 0;
/** @type {(on: boolean) => void} */
export const busy = (on) => {
  clearTimeout(busyTimer);
  const show = () => {
    byId("outcome").setAttribute("aria-busy", String(on));
    byId("score").setAttribute("aria-disabled", String(on));
  };
  if (on) busyTimer = setTimeout(show, GLANCE);
  else if (byId("outcome").getAttribute("aria-busy") === "true") show();
};

// ---- stale: the form is not what was scored ----------------------------------------------------------------

let last = "";
onRefresh((now) => {
  const changed = JSON.stringify(now);
  const stale = differ(now, state.scored);
  if (changed !== last && base()) compare(stale ? 100 : 0);
  last = changed;
  byId("example-mark").classList.toggle("gone", changed !== state.example || state.of !== "" || person !== "");
  byId("result").classList.toggle("stale", stale);
  clearAnswered(now);
});

let compareTimer = 0;
let compared = 0;
/** @type {(delay: number) => void} what the form would be scored by now, beside what was scored */
const compare = (delay) => {
  clearTimeout(compareTimer);
  const mine = ++compared;
  compareTimer = setTimeout(async () => {
    if (!base()) return;
    const answer = differ(contents(), state.scored) ? await ask("desk/compare", { answers: contents(), base: base() }) : { text: "" };
    if (mine !== compared || !base()) return;
    byId("now").innerHTML = answer.text ?? ""; // one that fails says nothing, rather than something old
    if (answer.text !== "" || !differ(contents(), state.scored)) return;
    state.scored = contents(); // other texts, the same answers
    refreshSoon();
  }, delay);
};

// ---- what if -----------------------------------------------------------------------------------------------

/** @type {string | null} of the curve */
let field = null;
let timer = 0;
let tries = 0;
/** @type {(delay: number) => void} the panel is of what was scored; it is not asked for while clicks follow clicks */
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
/** @type {(name: string) => void} */
export const showCurve = (name) => {
  field = name;
  tryOut(0);
};

// Fields that nobody has touched are marked until somebody has.
import { contents, meant } from "./form.js";
import { numberOf } from "./numbers.js";
import { byId, facts, rowOf, targetOf } from "./page.js";
import { onRefresh, refreshSoon } from "./state.js";

/** @typedef {import("./page.js").Contents} Contents */

/** @type {Set<string>} names of fields that somebody has filled in, changed or chosen again */
export const touched = new Set();
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
onRefresh(markUntouched);
/** @type {(names?: unknown) => void} the form as it is now is how it was opened; `names` were touched before */
export const openedNow = (names) => {
  opened = contents();
  touched.clear();
  if (Array.isArray(names)) for (const fact of facts.rows) if (names.includes(fact.name)) touched.add(fact.name);
  markUntouched(opened);
};

/** @type {(form: HTMLElement) => void} */
export const listenToTouches = (form) => {
  form.addEventListener("click", (event) => {
    // An answer that is chosen again, or ticked, was looked at.
    const row = targetOf(event).closest?.(".field");
    const fact = facts.rows.find((one) => one.id === row?.id);
    if (!event.isTrusted || !fact || !targetOf(event).matches("input[type=radio], input[type=checkbox]")) return;
    touched.add(fact.name);
    refreshSoon();
  });
  form.addEventListener("beforeinput", (event) => {
    const fact = numberOf(targetOf(event));
    if (fact && event.isTrusted) touched.add(fact.name); // typed anew, even if it is the same number
  });
};

// What the page remembers of its form beside what stands in it, in this tab's memory alone.
import { contents } from "./form.js";

/** @typedef {import("./page.js").Contents} Contents */

export const state = {
  /** @type {Contents} what the card on display answers */
  scored: {},
  /** the contents that the page comes with (JSON) */
  example: "",
  /** @type {Contents} what was put into the form, and not typed */
  put: {},
  /** the case whose answers are being corrected */
  of: "",
  /** its last record, when its answers were put into the form, or in the card on display */
  seen: "",
  /** ties the scores of one form to one case */
  key: "",
  /** the page is being left for one that is sent what was typed */
  leaving: false,
  /** what was typed could not be sent to the server */
  lost: false,
  /** the form is as it was opened, and what changes from now on was typed */
  open: false,
};

// ---- looking again, soon after something may have changed --------------------------------------------------

/** @type {((now: Contents) => void)[]} */
const watchers = [];
/** @type {(look: (now: Contents) => void) => void} */
export const onRefresh = (look) => { watchers.push(look); };
export const refresh = () => {
  const now = contents();
  for (const look of watchers) look(now);
};
let waiting = false;
export const refreshSoon = () => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => requestAnimationFrame(() => { waiting = false; refresh(); }));
};

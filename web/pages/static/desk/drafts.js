// The form's key, and what is kept of a form that was begun: on the server, for who is logged in.
import { ask } from "./asking.js";
import { base, show } from "./card.js";
import { applicant, contents, differ, nameApplicant, reference } from "./form.js";
import { NUMBERS, understand } from "./numbers.js";
import { byId, person, targetOf, within } from "./page.js";
import { onRefresh, state } from "./state.js";
import { touched } from "./untouched.js";
import { reopenWith } from "./widgets.js";

// The key ties the scores of one form to one case. It is random, and all that a browser keeps, for a reload.
const TAB = "tenfold-form";
/** @type {(key: string) => void} */
const useKey = (key) => {
  state.key = key;
  try { sessionStorage.setItem(TAB, key); } catch { /* a private window */ }
};
export const keyOfTab = () => { try { return sessionStorage.getItem(TAB) ?? ""; } catch { return ""; } };
export const useNewKey = () => {
  useKey([...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join(""));
};

// ---- keeping -----------------------------------------------------------------------------------------------

let timer = 0;
let kept = ""; // what the server has
const decision = () => {
  /** @type {HTMLFormElement} */
  const form = byId("result").querySelector(".deciding:not([data-action=arrange])");
  const own = ["up", "seen", "as", "name"];
  return form ? [.../** @type {any} */ (new FormData(form))].filter(([name]) => !own.includes(name)) : [];
};
/** the form as it is now (JSON) */
export const draft = () => JSON.stringify({
  answers: contents(), reference: reference()?.value ?? "", applicant: applicant(), touched: [...touched],
  of: state.of, seen: state.seen, decision: decision(),
  case: within(byId("result"), '[data-state="score"] [data-record]')?.dataset.record.split("/").pop() ?? "",
  scored: base() !== null,
  stale: differ(contents(), state.scored),
});
export const keep = async () => {
  clearTimeout(timer);
  const now = draft();
  if (!state.open || now === kept || !(touched.size || reference()?.value || applicant())) return;
  kept = now;
  const answer = await ask("desk/keep", { id: state.key, draft: JSON.parse(now) });
  state.lost = answer.text === undefined || !JSON.parse(answer.text).kept;
};
export const keepSoon = () => {
  if (!person) return;
  clearTimeout(timer);
  timer = setTimeout(keep, 400);
};
onRefresh(keepSoon);
export const discard = (id = state.key) => {
  clearTimeout(timer);
  kept = draft();
  if (person && id) ask("desk/discard", { id });
};

// ---- going on ----------------------------------------------------------------------------------------------

/** @type {(id: string, form: any) => Promise<void>} a form that was begun, as it was left */
export const goOn = async (id, form) => {
  useKey(id);
  if (!form) return;
  if (form.correcting) byId("correcting").innerHTML = form.correcting;
  await reopenWith(form.values, form.touched);
  nameApplicant(form.applicant);
  state.of = form.of ?? "";
  state.seen = form.seen ?? "";
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
export const findDraft = async (id, correcting = "") => {
  const answer = await ask("desk/drafts", { id, of: correcting });
  if (answer.failed) return false;
  const found = JSON.parse(answer.text);
  byId("unfinished").innerHTML = found.html;
  if (!found.form) return false;
  await goOn(id, found.form);
  return true;
};

export const listenToDrafts = () => {
  byId("result").addEventListener("input", keepSoon); // a decision's reason
  addEventListener("pagehide", () => { if (person) keep(); });
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
};

// The page is left for itself, for another release or in another language, and what was typed comes along: sent in the
// request's body, and so in no address and no storage.
import { visits } from "./asking.js";
import { draft } from "./drafts.js";
import { applicant, contents, differ, reference } from "./form.js";
import { byId, facts, person, targetOf, within } from "./page.js";
import { state } from "./state.js";

/** @type {(target: string, name: string, content: object) => void} leave this page for one that is sent `content` */
const post = (target, name, content) => {
  const form = document.createElement("form");
  const input = document.createElement("input");
  Object.assign(form, { method: "post", action: target, hidden: true });
  Object.assign(input, { name, value: JSON.stringify(content) });
  form.append(input);
  document.body.append(form);
  state.leaving = true;
  form.submit();
};
/** the page for the release that serves now */
export const redraw = () => {
  const now = contents();
  const rows = facts.rows.map(({ id, name, kind, unit }) => {
    const row = byId(id);
    const label = row.querySelector('[data-testid="block-info"]').textContent.trim();
    const text = kind === "radio" ? within(row, "input:checked")?.closest("label")?.textContent.trim() : now[name];
    return { name, kind, unit, label, value: now[name], text };
  });
  post(location.pathname, "typed", { rows, reference: reference()?.value, applicant: applicant(), case: state.of !== "" });
};

export const listenToLeaving = () => {
  // Where no server keeps what is typed, it goes along into the other language.
  if (!person)
    document.querySelector("#header .languages").addEventListener("click", (event) => {
      /** @type {HTMLAnchorElement} */
      const link = targetOf(event).closest("a[hreflang]");
      if (!link || /** @type {MouseEvent} */ (event).ctrlKey || /** @type {MouseEvent} */ (event).metaKey) return;
      event.preventDefault();
      const carried = { ...JSON.parse(draft()), release: facts.release, language: document.documentElement.lang };
      post(link.href, "kept", { key: state.key, draft: carried, visit: visits?.begun ? visits.token : "" });
    });
  // A reload or a closed tab would lose it: the browser asks first.
  addEventListener("beforeunload", (event) => {
    if (person && !state.lost) return; // the server keeps it
    const now = contents();
    const shown = byId("result").querySelector('[data-state="score"]') && !differ(now, state.scored);
    /** @type {NodeListOf<HTMLTextAreaElement>} */
    const areas = document.querySelectorAll(".deciding textarea");
    const begun = [...areas].some((one) => one.value.trim());
    if (state.leaving) return;
    if (visits?.begun) { event.preventDefault(); return; } // its cases would be gone
    if (begun || !(shown || !differ(now, state.put))) event.preventDefault();
  });
};

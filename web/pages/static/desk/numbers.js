// Numbers: the server says how a text is read, and the box shows it so.
import { ask } from "./asking.js";
import { know, read, showError } from "./form.js";
import { byId, facts, inputOf, onceReleased, rowOf, targetOf } from "./page.js";
import { refreshSoon } from "./state.js";

/** @typedef {import("./page.js").Fact} Fact */
/** @typedef {import("./page.js").Reading} Reading */

export const NUMBERS = facts.rows.filter((fact) => fact.kind === "number");
/** @type {(input: Element) => Fact | undefined} */
export const numberOf = (input) => NUMBERS.find((fact) => rowOf(fact).querySelector(".answer input") === input);
/** @type {(fact: Fact, found: Reading) => void} */
export const frame = (fact, found) => {
  Object.assign(inputOf(rowOf(fact)).parentElement.dataset, { before: found.before, after: found.after });
};
/** @type {(input: HTMLInputElement, text: string) => void} */
export const rewrite = (input, text) => {
  if (input.value === text) return;
  input.value = text;
  input.dispatchEvent(new Event("input", { bubbles: true }));
};
// Without the separators that the server put in, a number is easier to edit.
/** @type {(input: HTMLInputElement) => void} */
const edit = (input) => {
  const fact = numberOf(input);
  const found = fact && read(fact, input.value);
  if (!found || found.shown !== input.value) return; // a link has the focus, or a text that nobody has read
  const plain = found.shown.replaceAll(facts.thousands, "");
  know(fact, plain, found);
  rewrite(input, plain);
};
// Boxes that nobody is in get their number as it was read; what cannot be read stays. `tell`: and is explained.
/** @type {(some: Fact[], tell?: boolean) => Promise<void>} */
export const understand = async (some, tell = false) => {
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

/** @type {(form: HTMLElement) => void} */
export const listenToNumbers = (form) => {
  form.addEventListener("focusin", (event) => {
    const input = targetOf(event);
    edit(input);
    if (input.matches(".answer input:not([type=radio])")) input.select();
  });
  form.addEventListener("focusout", (event) => {
    const fact = numberOf(targetOf(event));
    if (fact) understand([fact], true);
  });
  // Under a text that can be read in two ways stand both.
  document.addEventListener("click", (event) => {
    /** @type {HTMLElement} */
    const reading = targetOf(event).closest?.("button.reading");
    if (!reading) return;
    const input = inputOf(byId(reading.dataset.row));
    rewrite(input, reading.dataset.text);
    input.focus();
    refreshSoon();
  });
};

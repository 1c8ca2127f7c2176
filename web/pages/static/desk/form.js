// The form's contents, and what is said under its fields.
import { byId, facts, inputOf, rowOf, within } from "./page.js";

/** @typedef {import("./page.js").Contents} Contents */
/** @typedef {import("./page.js").Fact} Fact */
/** @typedef {import("./page.js").Reading} Reading */

// ---- how the server has read numbers: there is no second grammar here --------------------------------------

/** @type {Map<string, Reading>} by field and text what the server said */
const said = new Map();
/** @type {(fact: Fact, text: string) => Reading | undefined} */
export const read = (fact, text) => said.get(`${fact.name}\n${text}`);
/** @type {(fact: Fact, text: string, found: Reading) => void} */
export const know = (fact, text, found) => {
  said.set(`${fact.name}\n${text}`, found);
  if (found.shown !== undefined) said.set(`${fact.name}\n${found.shown}`, found);
};
// A number by the text that its box shows, so that "$2345" and "2,345" are one answer.
/** @type {(fact: Fact, text: string | null) => string | null} */
export const meant = (fact, text) => read(fact, text)?.shown ?? text;

// ---- contents ----------------------------------------------------------------------------------------------

// By field: a number's or a list's text, a radio button's code, null where "not stated" is ticked.
/** @type {() => Contents} */
export const contents = () =>
  Object.fromEntries(facts.rows.map((fact) => {
    const row = rowOf(fact);
    if (fact.kind === "radio") return [fact.name, within(row, "input:checked")?.value ?? ""];
    return [fact.name, within(row, ".not-stated input")?.checked ? null : meant(fact, inputOf(row).value.trim())];
  }));
/** @type {(one: Contents, other: Contents) => boolean} */
export const differ = (one, other) => facts.rows.some((fact) => meant(fact, one[fact.name]) !== meant(fact, other[fact.name]));
/** @type {(values: unknown[]) => boolean} whether the widgets show these values; of a list only whether it has one */
export const shows = (values) => facts.rows.every((fact, at) => {
  if (fact.kind === "list") return Boolean(inputOf(rowOf(fact)).value) === Boolean(values[at]);
  if (fact.kind === "radio") return (within(rowOf(fact), "input:checked")?.value ?? null) === (values[at] ?? null);
  return inputOf(rowOf(fact)).value === (values[at] ?? "");
});
export const isEmpty = () => Object.values(contents()).every((answer) => answer === "");

/** @type {() => HTMLInputElement | undefined} */
export const reference = () => byId("reference")?.querySelector("input, textarea");
// The applicant's name or number, where the lender asks for it; the model does not see it.
export const applicant = () => /** @type {HTMLInputElement | null} */ (byId("applicant"))?.value ?? "";
/** @type {(name: unknown) => void} */
export const nameApplicant = (name) => {
  const box = /** @type {HTMLInputElement | null} */ (byId("applicant"));
  if (box) box.value = typeof name === "string" ? name : "";
};

// ---- errors under their fields -----------------------------------------------------------------------------

/** @type {(fact: Fact) => void} */
export const describe = (fact) => {
  const row = rowOf(fact);
  const target = fact.kind === "radio" ? row.querySelector("fieldset") : inputOf(row);
  const ids = [`${fact.id}-error`, `${fact.id}-help`].filter(byId);
  if (ids.length) target.setAttribute("aria-describedby", ids.join(" "));
  else target.removeAttribute("aria-describedby");
  if (byId(`${fact.id}-error`)) target.setAttribute("aria-invalid", "true");
  else target.removeAttribute("aria-invalid");
};
/** @type {(fact: Fact) => void} */
const clearError = (fact) => {
  const error = byId(`${fact.id}-error`);
  if (!error) return;
  error.remove();
  describe(fact);
};
/** @type {(fact: Fact, html: string) => void} */
export const showError = (fact, html) => {
  clearError(fact);
  const error = document.createElement("p");
  error.id = `${fact.id}-error`;
  error.className = "field-error";
  error.innerHTML = html;
  error.dataset.of = String(contents()[fact.name]);
  rowOf(fact).querySelector(".answer").after(error);
  describe(fact);
};
/** @type {(now: Contents) => void} an error goes once something else stands in its field */
export const clearAnswered = (now) => {
  for (const fact of facts.rows) if (byId(`${fact.id}-error`)?.dataset.of !== String(now[fact.name])) clearError(fact);
};
/** @type {(card: Element) => void} */
export const showErrors = (card) => {
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

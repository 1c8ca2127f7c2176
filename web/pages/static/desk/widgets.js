// What Gradio's widgets lack: names and help for a screen reader, units, one group of radio buttons, a list that takes
// what was typed; and how they are filled.
import { contents, describe, isEmpty, know, reference, shows } from "./form.js";
import { NUMBERS, frame, understand } from "./numbers.js";
import { byId, facts, inputOf, rowOf, targetOf } from "./page.js";
import { refresh, state } from "./state.js";
import { openedNow } from "./untouched.js";

/** @typedef {import("./page.js").Fact} Fact */

export const areDrawn = () =>
  byId("announcer") && byId("score") && byId("reset") && byId("example") && byId("put") && byId("result")?.querySelector(".card") &&
  facts.rows.every((fact) => rowOf(fact)?.querySelector(".answer input"));

export const dress = () => {
  for (const fact of facts.rows) {
    const row = rowOf(fact);
    const name = row.querySelector('[data-testid="block-info"]');
    const help = row.querySelector(".info-text");
    name.id = `${fact.id}-name`;
    if (help) help.id = `${fact.id}-help`;
    if (fact.kind === "radio") dressRadio(fact, row.querySelector("fieldset"), name.id);
    else {
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
/** @type {(fact: Fact, group: HTMLElement, name: string) => void} */
const dressRadio = (fact, group, name) => {
  group.setAttribute("role", "radiogroup");
  group.setAttribute("aria-labelledby", name);
  // One name a group: the arrow keys walk within it, and Tab passes it as one stop. Gradio gives each button a name of
  // its own again whenever it fills the form.
  const oneName = () => {
    for (const input of group.querySelectorAll("input")) if (input.name !== fact.id) input.name = fact.id;
  };
  oneName();
  new MutationObserver(oneName).observe(group, { attributeFilter: ["name"], childList: true, subtree: true });
};

/** @type {(form: HTMLElement) => void} */
export const listenToLists = (form) => {
  // Gradio's list filters when a key goes down; a text that is pasted or dictated brings none.
  form.addEventListener("input", (event) => {
    if (targetOf(event).matches(".field.list input"))
      event.target.dispatchEvent(new KeyboardEvent("keydown", { key: "Unidentified", bubbles: true }));
  });
  // It then marks the first choice that has the text anywhere: "WA" would be Delaware. Enter picks the one that begins
  // with what was typed, unless somebody walked to another with the arrow keys.
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
};

// ---- filling them ------------------------------------------------------------------------------------------

// Gradio fills its widgets from `deskValues` when its hidden button is pressed; that brings no event of its own.
/** @type {(values: unknown[]) => void} */
const press = (values) => {
  Object.assign(window, { deskValues: values });
  byId("put").click();
};
/** @type {(values: unknown[]) => void} */
export const fill = (values) => {
  press(values);
  for (const delay of [100, 400]) setTimeout(refresh, delay);
  setTimeout(() => understand(NUMBERS), 400);
};
/** @type {(values: string) => void} another form's answers (JSON); the reference stays */
export const put = (values) => {
  const wanted = JSON.parse(values);
  fill(reference() ? [...wanted.slice(0, -1), reference().value] : wanted);
};
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
  state.put = contents();
  openedNow();
  refresh();
  understand(NUMBERS);
};
export const openedEmpty = () => openedAs(isEmpty);
export const openedWithExample = () => openedAs(() => JSON.stringify(contents()) === state.example);
/** @type {(values: unknown[]) => Promise<void>} */
export const openWith = async (values) => {
  fill(values);
  await openedAs(() => shows(values));
};
/** @type {(values: unknown[], touched: unknown) => Promise<void>} a form that was begun; `touched`: names of its fields */
export const reopenWith = async (values, touched) => {
  press(values);
  await drawnAs(() => shows(values));
  openedNow(touched);
};

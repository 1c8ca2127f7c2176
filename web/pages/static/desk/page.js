// What the server says of the page, and how its elements are found.

/**
 * How the server reads a number's text: `shown` as the box shows it, with what stands `before` and `after` it; or
 * `html`, what is wrong.
 * @typedef {{ shown?: string, before?: string, after?: string, html?: string }} Reading
 *
 * One field of the form; a number's is also the reading of what its box comes with.
 * @typedef {{ id: string, name: string, kind: "number" | "list" | "radio", unit: string } & Reading} Fact
 *
 * The form's contents, by field: a text, a code, or null where "not stated" is ticked.
 * @typedef {Record<string, string | null>} Contents
 */

/** @type {{ release: string, rows: Fact[], thousands: string, untouched: string }} */
export const facts = JSON.parse(document.getElementById("desk-facts").textContent);
// Who is logged in, by this page; empty without login. The server refuses what is asked in another's name.
export const visitor = /** @type {HTMLTemplateElement} */ (document.getElementById("visitor-now"));
export const person = /** @type {HTMLElement} */ (visitor.content.querySelector("[data-person]"))?.dataset.person ?? "";
if (person) document.documentElement.classList.add("opening"); // the form opens empty: its example is not shown first

/** @type {(id: string) => HTMLElement} */
export const byId = (id) => document.getElementById(id);
/** @type {(fact: Fact) => HTMLElement} */
export const rowOf = (fact) => byId(fact.id);
/** @type {(row: HTMLElement) => HTMLInputElement} */
export const inputOf = (row) => row.querySelector(".answer input");
// Any element within, as an input: of most only the dataset or the focus is wanted.
/** @type {(root: ParentNode, selector: string) => HTMLInputElement} */
export const within = (root, selector) => root.querySelector(selector);
/** @type {(event: Event) => HTMLInputElement} what an event happened to */
export const targetOf = (event) => /** @type {HTMLInputElement} */ (event.target);

// A message moves what is below it: it waits until a button that is being pressed is let go.
let pressed = false;
/** @type {(() => void)[]} */
const afterwards = [];
/** @type {(action: () => void) => void} */
export const onceReleased = (action) => { if (pressed) afterwards.push(action); else action(); };
addEventListener("pointerdown", () => { pressed = true; }, true);
for (const kind of ["pointerup", "pointercancel"])
  addEventListener(kind, () => {
    pressed = false;
    setTimeout(() => { for (const action of afterwards.splice(0)) action(); }, 0);
  }, true);

// @ts-check
// What the keyboard can do at once; the list under "?" says the same (web/desk/blocks.py, KEYS).
(() => {
  "use strict";

  /** @type {(selector: string) => HTMLElement | null} the first that is in view of the page */
  const seen = (selector) =>
    /** @type {any} */ ([...document.querySelectorAll(selector)].find((one) => /** @type {any} */ (one).checkVisibility()));
  /** @type {(element: HTMLElement | null) => boolean} */
  const go = (element) => {
    if (!element) return false;
    element.focus();
    return true;
  };
  /** @type {(element: HTMLElement | null) => boolean} */
  const press = (element) => {
    if (!element) return false;
    element.click();
    return true;
  };
  /** @type {() => any} */
  const list = () => document.getElementById("keys");
  const open = () => { if (!list().open) list().showModal(); return true; };

  /** @type {Record<string, () => boolean>} by key: what it does, and whether there was anything to do */
  const KEYS = {
    F2: () => go(seen("#fields [data-untouched] :is(input:checked, .answer input:not([type=radio]):not(:disabled))") ?? seen("#fields [data-untouched] .answer input") ?? seen("#fields .answer input")),
    F4: () => go(seen(".decide :is(input[type=radio]:checked)") ?? seen(".decide summary, .decide input[type=radio], .decide .decided")),
    F8: () => press(seen("#now button.put")),
    F9: () => press(seen("#reset")),
  };
  document.addEventListener("keydown", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.altKey || event.metaKey || list()?.open) return;
    if (event.key === "?" && !target.matches("input:not([type=radio], [type=checkbox]), textarea, select")) {
      event.preventDefault();
      open();
    } else if (event.key === "Enter" && event.ctrlKey) {
      event.preventDefault();
      event.stopPropagation();
      /** @type {HTMLFormElement} */
      const form = target.closest("form.deciding");
      if (form) form.requestSubmit();
      else if (!event.repeat) seen("#score")?.click();
    } else if (!event.ctrlKey && !event.shiftKey && KEYS[event.key]?.()) event.preventDefault();
  }, true);
  document.addEventListener("click", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (target.closest?.("#keys-open")) open();
    else if (target === list()) list().close(); // beside the list
  });
})();

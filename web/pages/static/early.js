// @ts-check
// Runs before Gradio: the words that Gradio picks by itself follow the page's language, not the browser's.
for (const [name, value] of Object.entries({ language: document.documentElement.lang, languages: [document.documentElement.lang] }))
  Object.defineProperty(navigator, name, { get: () => value });

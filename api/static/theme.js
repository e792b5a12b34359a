// Sets the theme before the page is drawn: the user's choice on this page, or the system's theme. Buttons with the attribute
// `data-theme-button` change it.
(() => {
  const KEY = "cto-theme";
  const CHOICES = ["automatic", "light", "dark"];
  const root = document.documentElement;
  const stored = () => {
    try {
      return localStorage.getItem(KEY) ?? CHOICES[0];
    } catch {
      return CHOICES[0];
    }
  };
  const showChoice = () => {
    for (const button of document.querySelectorAll("[data-theme-button]")) button.textContent = `Theme: ${root.dataset.theme}`;
  };
  root.dataset.theme = stored();
  document.addEventListener("DOMContentLoaded", showChoice);
  document.addEventListener("click", ({ target }) => {
    if (!target.closest("[data-theme-button]")) return;
    root.dataset.theme = CHOICES[(CHOICES.indexOf(root.dataset.theme) + 1) % CHOICES.length];
    try {
      localStorage.setItem(KEY, root.dataset.theme);
    } catch { /* without storage the choice lasts until the page is closed */ }
    showChoice();
  });
})();

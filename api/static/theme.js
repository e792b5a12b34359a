// Before anything is drawn: light or dark, as the viewer has chosen on this page, or else as the system has it.
(() => {
  const KEY = "cto-theme";
  const CHOICES = ["automatic", "light", "dark"];
  const kept = () => {
    try {
      return localStorage.getItem(KEY) ?? CHOICES[0];
    } catch {
      return CHOICES[0];
    }
  };
  const apply = (choice) => {
    document.documentElement.dataset.theme = choice;
    const button = document.getElementById("theme");
    if (button) button.textContent = `Theme: ${choice}`;
  };
  apply(kept());
  document.addEventListener("DOMContentLoaded", () => {
    apply(kept());
    document.getElementById("theme")?.addEventListener("click", () => {
      const next = CHOICES[(CHOICES.indexOf(kept()) + 1) % CHOICES.length];
      try {
        localStorage.setItem(KEY, next);
      } catch { /* then it lasts until the page is left */ }
      apply(next);
    });
  });
})();

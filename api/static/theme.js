// Sets the theme before the page is drawn: the user's choice on this page, or the system's theme.
(() => {
  const KEY = "cto-theme";
  const CHOICES = ["automatic", "light", "dark"];
  const stored = () => {
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
  apply(stored());
  document.addEventListener("DOMContentLoaded", () => {
    apply(stored());
    document.getElementById("theme")?.addEventListener("click", () => {
      const next = CHOICES[(CHOICES.indexOf(stored()) + 1) % CHOICES.length];
      try {
        localStorage.setItem(KEY, next);
      } catch { /* without storage the choice lasts until the page is closed */ }
      apply(next);
    });
  });
})();

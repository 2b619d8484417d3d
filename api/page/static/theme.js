// Runs before the page is drawn, so that a theme that was chosen does not flash: light, dark, or as the system has it.
try {
  const theme = localStorage.getItem("theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // storage is switched off: the system's theme it is
}
document.documentElement.classList.add("scripted");

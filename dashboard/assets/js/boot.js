// Runs before the first paint: controls that need scripts appear, those that replace them do not.
document.documentElement.classList.add("js");

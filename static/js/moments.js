// Fields of moments: the server reads UTC; whoever reads the screen by their own clock types by it too.

import { clockText, isLocal } from "./clock.js";

for (const field of document.querySelectorAll("[data-moment]")) {
  const sent = document.createElement("input");
  sent.type = "hidden";
  sent.name = field.name;
  sent.value = field.value;
  field.removeAttribute("name");
  field.after(sent);
  const read = () => {
    const typed = field.value && new Date(isLocal() ? field.value : `${field.value}Z`);
    sent.value = typed ? typed.toISOString().slice(0, 16) : "";
  };
  const write = () => {
    if (sent.value)
      field.value = clockText(new Date(`${sent.value}Z`), "Y-m-d H:i").replace(" ", "T");
  };
  field.addEventListener("input", read);
  document.addEventListener("clock:changed", write);
  write();
}

function showZone() {
  const note = document.querySelector("[data-zone]");
  if (note) note.textContent = isLocal() ? note.dataset.local : note.dataset.utc;
}
document.addEventListener("clock:changed", showZone);
showZone();

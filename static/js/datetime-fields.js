// Date and time fields: the server expects UTC; with the local clock chosen, the user types local time.

import { clockText, isLocal } from "./clock.js";

for (const field of document.querySelectorAll("[data-datetime]")) {
  const utcField = document.createElement("input");
  utcField.type = "hidden";
  utcField.name = field.name;
  utcField.value = field.value;
  field.removeAttribute("name");
  field.after(utcField);
  const toUtc = () => {
    const value = field.value && new Date(isLocal() ? field.value : `${field.value}Z`);
    utcField.value = value ? value.toISOString().slice(0, 16) : "";
  };
  const showTime = () => {
    if (utcField.value)
      field.value = clockText(new Date(`${utcField.value}Z`), "Y-m-d H:i").replace(" ", "T");
  };
  field.addEventListener("input", toUtc);
  document.addEventListener("clock:changed", showTime);
  showTime();
}

function showZone() {
  const note = document.querySelector("[data-zone]");
  if (note) note.textContent = isLocal() ? note.dataset.local : note.dataset.utc;
}
document.addEventListener("clock:changed", showZone);
showZone();

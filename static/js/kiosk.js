// The wallboard: no chrome, one view after another, a tone for a new incident when somebody asked for it.

const TURN_MS = 30_000;
const { body } = document;
const rotation = (body.dataset.kiosk ?? "").split(" ").filter(Boolean);
const hears = () => localStorage.getItem("kiosk-sound") === "1";

function turn() {
  const at = rotation.indexOf(location.pathname);
  location.assign(`${rotation[(at + 1) % rotation.length]}?kiosk=1`);
}

function beep() {
  const audio = new AudioContext();
  const tone = audio.createOscillator();
  const volume = audio.createGain();
  volume.gain.value = 0.15;
  tone.frequency.value = 660;
  tone.connect(volume).connect(audio.destination);
  tone.start();
  tone.stop(audio.currentTime + 0.35);
}

// The newest incident number on the screen; a higher one than was ever seen here is news.
function listen() {
  const numbers = [...document.querySelectorAll(".incident-list .identifier")].map((id) =>
    Number(id.textContent.replace(/\D/g, "")),
  );
  const newest = Math.max(0, ...numbers);
  const known = Number(sessionStorage.getItem("kiosk-newest") ?? newest);
  if (newest > known && hears()) beep();
  sessionStorage.setItem("kiosk-newest", String(Math.max(newest, known)));
}

if (rotation.length > 1) {
  setTimeout(turn, TURN_MS);
  const sound = document.createElement("button");
  sound.className = "btn subtle kiosk-sound";
  sound.type = "button";
  sound.textContent = body.dataset.kioskSound;
  sound.setAttribute("aria-pressed", String(hears()));
  sound.addEventListener("click", () => {
    localStorage.setItem("kiosk-sound", hears() ? "" : "1");
    sound.setAttribute("aria-pressed", String(hears()));
    if (hears()) beep();
  });
  body.append(sound);
  document.addEventListener("htmx:afterSwap", listen);
  listen();
}

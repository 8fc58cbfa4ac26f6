// The wallboard: no navigation, rotating views, and an optional tone for a new incident.

const ROTATE_MS = 30_000;
const { body } = document;
const rotation = (body.dataset.kiosk ?? "").split(" ").filter(Boolean);
const isSoundOn = () => localStorage.getItem("kiosk-sound") === "1";

function showNextView() {
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

// A higher incident number than any shown before in this session is a new incident.
function beepForNewIncident() {
  const numbers = [...document.querySelectorAll(".incident-list .identifier")].map((id) =>
    Number(id.textContent.replace(/\D/g, "")),
  );
  const newest = Math.max(0, ...numbers);
  const known = Number(sessionStorage.getItem("kiosk-newest") ?? newest);
  if (newest > known && isSoundOn()) beep();
  sessionStorage.setItem("kiosk-newest", String(Math.max(newest, known)));
}

if (rotation.length > 1) {
  setTimeout(showNextView, ROTATE_MS);
  const sound = document.createElement("button");
  sound.className = "btn subtle kiosk-sound";
  sound.type = "button";
  sound.textContent = body.dataset.kioskSound;
  sound.setAttribute("aria-pressed", String(isSoundOn()));
  sound.addEventListener("click", () => {
    localStorage.setItem("kiosk-sound", isSoundOn() ? "" : "1");
    sound.setAttribute("aria-pressed", String(isSoundOn()));
    if (isSoundOn()) beep();
  });
  body.append(sound);
  document.addEventListener("htmx:afterSwap", beepForNewIncident);
  beepForNewIncident();
}

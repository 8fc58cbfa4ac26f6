// Passkeys: fetches a challenge, lets the browser sign it, and submits the form with the result.

function toBytes(text) {
  const base64 = text.replaceAll("-", "+").replaceAll("_", "/");
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

function toText(buffer) {
  const letters = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte));
  return btoa(letters.join("")).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

// Converts the base64 texts of the server into the bytes that the browser expects.
function readOptions(options) {
  const read = { ...options, challenge: toBytes(options.challenge) };
  if (options.user) read.user = { ...options.user, id: toBytes(options.user.id) };
  for (const list of ["allowCredentials", "excludeCredentials"]) {
    if (options[list]) read[list] = options[list].map((one) => ({ ...one, id: toBytes(one.id) }));
  }
  return read;
}

function writeCredential(credential) {
  const response = {};
  for (const name of [
    "clientDataJSON",
    "attestationObject",
    "authenticatorData",
    "signature",
    "userHandle",
  ]) {
    if (credential.response[name]) response[name] = toText(credential.response[name]);
  }
  return JSON.stringify({
    id: credential.id,
    rawId: toText(credential.rawId),
    type: credential.type,
    response,
    clientExtensionResults: credential.getClientExtensionResults(),
  });
}

async function ask(form) {
  const token = form.querySelector("[name=csrfmiddlewaretoken]").value;
  const answer = await fetch(form.dataset.options, {
    method: "POST",
    headers: { "X-CSRFToken": token },
  });
  if (answer.redirected || !answer.ok) throw new Error(answer.status === 429 ? "many" : "server");
  const { publicKey } = await answer.json();
  const options = { publicKey: readOptions(publicKey) };
  return form.dataset.passkey === "register"
    ? navigator.credentials.create(options)
    : navigator.credentials.get(options);
}

function say(form, word) {
  for (const text of form.querySelectorAll("[data-passkey-error]")) {
    text.hidden = text.dataset.passkeyError !== word;
  }
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  // Without a secure page or a host name (an address has none) no browser makes or uses passkeys.
  if (!window.PublicKeyCredential) {
    form.hidden = true;
    continue;
  }
  form.addEventListener("submit", async (event) => {
    if (form.elements.answer.value) return;
    event.preventDefault();
    say(form, "");
    try {
      form.elements.answer.value = writeCredential(await ask(form));
      form.submit();
    } catch (error) {
      say(
        form,
        error.message === "many" ? "many" : error.name === "SecurityError" ? "host" : "none",
      );
    }
  });
}

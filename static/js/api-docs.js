// The REST API's description, readable. A file of its own: the content security policy allows no inline script.

const place = document.getElementById("api");

function csrfToken() {
  const pair = document.cookie.split("; ").find((text) => text.startsWith("csrftoken="));
  return pair ? pair.slice("csrftoken=".length) : "";
}

window.SwaggerUIBundle({
  url: place.dataset.schema,
  domNode: place,
  deepLinking: true,
  docExpansion: "none",
  filter: true,
  validatorUrl: null, // would ask a server of somebody else
  requestInterceptor(request) {
    // Calls that are tried here are made by the signed-in person's session.
    if (request.method !== "GET") request.headers["X-CSRFToken"] = csrfToken();
    return request;
  },
});

// Renders the description of the REST API. The content security policy allows no inline script.

const container = document.getElementById("api");

function csrfToken() {
  const pair = document.cookie.split("; ").find((text) => text.startsWith("csrftoken="));
  return pair ? pair.slice("csrftoken=".length) : "";
}

window.SwaggerUIBundle({
  url: container.dataset.schema,
  domNode: container,
  deepLinking: true,
  docExpansion: "none",
  filter: true,
  validatorUrl: null, // would call an external server
  requestInterceptor(request) {
    // Calls from this page use the session of the signed-in user.
    if (request.method !== "GET") request.headers["X-CSRFToken"] = csrfToken();
    return request;
  },
});

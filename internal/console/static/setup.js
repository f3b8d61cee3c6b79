"use strict";
// The token is in the fragment, which browsers do not send; it leaves the page
// only in the body of the one request below.
const token = location.hash.slice(1);
history.replaceState(null, "", location.pathname);
const form = document.getElementById("form");
const error = document.getElementById("error");
if (!token) {
  form.hidden = true;
  error.textContent = "This page needs the one-time link that sallyport serve prints.";
}
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  error.textContent = "";
  const answer = await fetch("/api/v1/setup", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token, name: document.getElementById("name").value }),
  });
  const body = await answer.json();
  if (!answer.ok) {
    error.textContent = body.detail;
    return;
  }
  form.hidden = true;
  document.getElementById("credential").textContent = body.credential;
  document.getElementById("done").hidden = false;
});

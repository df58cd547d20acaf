// The answer to a form with data-fragments is parts of the page: each replaces the one of its id.
document.addEventListener("submit", async event => {
  const form = event.target
  if (!("fragments" in form.dataset)) return
  event.preventDefault()
  const body = new URLSearchParams(new FormData(form))
  const response = await fetch(form.action, { method: "POST", body, headers: { "X-Fragments": "1" } })
  const text = await response.text()
  form.querySelector("output").textContent = response.ok ? "" : text
  if (!response.ok) return
  const parts = new DOMParser().parseFromString(text, "text/html").body.children
  for (const part of [...parts]) document.getElementById(part.id)?.replaceWith(part)
})

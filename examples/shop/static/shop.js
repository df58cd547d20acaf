// A form with data-fragment replaces the element of this id, in place of the page.
document.addEventListener("submit", async event => {
  const form = event.target, id = form.dataset.fragment
  if (!id) return
  event.preventDefault()
  const response = await fetch(form.action, {
    method: "POST", body: new URLSearchParams(new FormData(form)), headers: { "X-Fragment": id },
  })
  if (response.ok) document.getElementById(id).outerHTML = await response.text()
  else form.querySelector("output").textContent = await response.text()
})

/** Parts: the elements that the board is made of. */

const HUES = 8
const SVG = "http://www.w3.org/2000/svg"

function make(tag, className, text = "") {
  const element = document.createElement(tag)
  element.className = className
  element.textContent = text
  return element
}

function icon(path) {
  const svg = document.createElementNS(SVG, "svg"), line = document.createElementNS(SVG, "path")
  svg.setAttribute("viewBox", "0 0 16 16")
  svg.setAttribute("aria-hidden", "true")
  line.setAttribute("d", path)
  svg.append(line)
  return svg
}

export function columnElement(column, name) {
  const section = make("section", "column"), head = make("h3", "", name), list = make("ul", "cards")
  head.id = `column-${column}`
  head.append(make("span", "count", "0"))
  section.dataset.column = column
  section.setAttribute("aria-labelledby", head.id)
  list.setAttribute("role", "list") // which a list without bullets is not to every screen reader
  section.append(head, list)
  return { section, list }
}

/** nudge(id, by): one column back or on. */
export function cardElement({ id, title, tag }, nudge) {
  const card = make("li", "card"), name = make("button", "title", title), tools = make("div", "tools"), grip = make("span", "grip")
  name.type = "button"
  name.setAttribute("aria-describedby", "help")
  grip.append(icon("M6 3v.01M6 8v.01M6 13v.01M10 3v.01M10 8v.01M10 13v.01"))
  for (const [by, path, where] of [[-1, "M10 3 5 8l5 5", "back"], [1, "m6 3 5 5-5 5", "on"]]) {
    const button = make("button", `nudge ${where}`)
    button.type = "button"
    button.tabIndex = -1 // keys have arrows for it; this is for pointers and screen readers
    button.setAttribute("aria-label", `${title}: one column ${where}`)
    button.append(icon(path))
    button.onclick = () => nudge(id, by)
    tools.append(button)
  }
  const meta = make("p", "meta"), bar = make("div", "bar")
  meta.append(make("span", "tag", tag), make("span", "face"), tools)
  bar.append(make("i", ""))
  bar.hidden = true
  bar.setAttribute("role", "progressbar")
  bar.setAttribute("aria-label", `${title}: done so far`)
  tools.prepend(grip)
  card.dataset.id = id
  card.append(name, meta, bar)
  return card
}

/** The initials of a name, on a colour that is the same in every window. */
export function paintFace(element, name = "") {
  if (element.title === name)
    return
  element.textContent = name.split(" ").map(([first]) => first).join("").toUpperCase()
  element.title = name
  element.dataset.hue = [...name].reduce((sum, letter) => sum + letter.codePointAt(), 0) % HUES
  element.setAttribute("role", "img")
  element.setAttribute("aria-label", `moved by ${name}`)
}

/** What of a card changes. column: where it is shown. */
export function paint(element, { by, progress }, column) {
  element.dataset.column = column
  paintFace(element.querySelector(".face"), by)
  const bar = element.querySelector(".bar")
  bar.hidden = !progress
  bar.setAttribute("aria-valuenow", Math.round(100 * (progress ?? 0)))
  bar.firstChild.style.transform = `scaleX(${progress ?? 0})`
  element.querySelector(".back").disabled = column === "plan"
  element.querySelector(".on").disabled = column === "done"
}

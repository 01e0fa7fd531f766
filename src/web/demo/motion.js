/** Motion: cards glide to where they belong, so that the eye can follow, unless the system asks for less of that. */

const still = matchMedia("(prefers-reduced-motion: reduce)")
const GLIDE = { duration: 380, easing: "cubic-bezier(.2,.8,.2,1)" }
const LAND = { duration: 1400, easing: "ease-out" }

/** Runs move(), and has each element whose place it has changed glide there from where it was. */
export function glide(elements, move) {
  if (still.matches || document.visibilityState === "hidden")
    return move()
  const before = new Map(elements.filter(({ isConnected }) => isConnected).map(element => [element, element.getBoundingClientRect()]))
  move()
  for (const [element, { left, top }] of before) {
    const now = element.getBoundingClientRect(), x = left - now.left, y = top - now.top
    if (Math.abs(x) + Math.abs(y) > 1)
      element.animate([{ transform: `translate(${x}px, ${y}px)`, zIndex: 2 }, { transform: "none", zIndex: 2 }], GLIDE)
  }
}

/** It has come from elsewhere: a ring that fades. */
export function land(element) {
  if (!still.matches)
    element.animate([{ outlineColor: "var(--accent)" }, { outlineColor: "transparent" }], LAND)
}

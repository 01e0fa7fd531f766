/** Dragging: a card follows the mouse, the pen, or the finger that holds it by its grip; elsewhere a finger scrolls. */

const BEGINS_PX = 6 // less is a click
const EDGE_PX = 64 // so near to the edge of the window, and the page scrolls
const SCROLL_PX = 12

export class Dragging {
  #board
  #columns
  #ghosts
  #drag // {pointer, id, element, ghost, x, y, left, top}

  constructor(board, columns, ghosts) {
    this.#board = board
    this.#columns = columns
    this.#ghosts = ghosts
    columns.addEventListener("pointerdown", event => this.#press(event))
    document.addEventListener("pointermove", event => this.#move(event))
    document.addEventListener("pointerup", ({ pointerId }) => pointerId === this.#drag?.pointer && this.#drop(true))
    document.addEventListener("pointercancel", ({ pointerId }) => pointerId === this.#drag?.pointer && this.#drop(false))
    document.addEventListener("keydown", ({ key }) => key === "Escape" && this.#drop(false))
  }

  #press(event) {
    const element = event.target.closest(".card")
    if (!element || this.#drag || event.button || event.target.closest(".nudge"))
      return
    if (event.pointerType === "touch" && !event.target.closest(".grip"))
      return
    const { left, top } = element.getBoundingClientRect()
    this.#drag = { pointer: event.pointerId, id: element.dataset.id, element, x: event.clientX, y: event.clientY, left, top }
  }

  #move({ pointerId, clientX: x, clientY: y }) {
    const drag = this.#drag
    if (drag?.pointer !== pointerId || (!drag.ghost && Math.hypot(x - drag.x, y - drag.y) < BEGINS_PX))
      return
    drag.ghost ??= this.#lift(drag)
    drag.ghost.style.translate = `${x - drag.x}px ${y - drag.y}px`
    if (y < EDGE_PX || y > innerHeight - EDGE_PX)
      scrollBy(0, y < EDGE_PX ? -SCROLL_PX : SCROLL_PX)
    const list = document.elementFromPoint(x, y)?.closest(".column")?.querySelector(".cards")
    if (list)
      this.#aim(list, y)
  }

  #lift({ element, left, top }) {
    const ghost = element.cloneNode(true), { width } = element.getBoundingClientRect()
    Object.assign(ghost.style, { left: `${left}px`, top: `${top}px`, width: `${width}px` })
    ghost.classList.add("ghost")
    this.#ghosts.append(ghost)
    element.classList.add("lifted")
    document.body.classList.add("dragging")
    getSelection()?.removeAllRanges()
    return ghost
  }

  /** Where it would fall: before the first card whose middle is below the pointer. */
  #aim(list, y) {
    const { id } = this.#drag, { column } = list.parentElement.dataset
    const others = [...list.children].filter(card => card.dataset.id !== id)
    const found = others.findIndex(card => {
      const { offsetTop, offsetHeight } = card // without the gliding
      return list.getBoundingClientRect().top - list.offsetTop + offsetTop + offsetHeight / 2 > y
    })
    const index = found < 0 ? others.length : found, now = this.#board.placeOf(id)
    if (now.column !== column || now.index !== index)
      this.#board.preview(id, column, index)
  }

  #drop(isMeant) {
    const drag = this.#drag
    this.#drag = undefined
    if (!drag?.ghost)
      return
    drag.ghost.remove()
    drag.element.classList.remove("lifted")
    document.body.classList.remove("dragging")
    // The click that ends it is none, if there is one at all: it comes before the next timer.
    const swallow = event => event.stopPropagation()
    addEventListener("click", swallow, { capture: true, once: true })
    setTimeout(() => removeEventListener("click", swallow, { capture: true }))
    isMeant ? this.#board.settle(drag.id) : this.#board.restore(drag.id)
  }
}

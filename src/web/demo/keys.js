/**
 * Keys: one card of the board can be reached by Tab, the others from it by arrows. Space lifts a card; then arrows move it, Space puts it down,
 * and Escape takes it back.
 */

import { COLUMNS, nameOf } from "./board.js"

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }

export class Keys {
  #board
  #acts
  #current
  #lifted

  constructor(board, columns, acts) {
    this.#board = board
    this.#acts = acts
    columns.addEventListener("keydown", event => this.#press(event))
    columns.addEventListener("click", ({ target }) => {
      const id = target.closest(".title") && target.closest(".card").dataset.id
      if (id)
        board.choose(id)
    })
    columns.addEventListener("focusin", ({ target }) => {
      const id = target.closest(".card")?.dataset.id
      if (id && id !== this.#current)
        this.#be(id)
    })
    columns.addEventListener("focusout", ({ relatedTarget }) => {
      if (this.#lifted && relatedTarget && relatedTarget.closest(".card")?.dataset.id !== this.#lifted)
        this.#put(false)
    })
  }

  /** After the board has changed: which card Tab comes to. */
  refresh() {
    if (this.#current === undefined || !this.#board.card(this.#current))
      this.#be(COLUMNS.flatMap(column => this.#board.inColumn(column))[0])
  }

  #be(id) {
    this.#current = id
    for (const title of document.querySelectorAll("#columns .title"))
      title.tabIndex = title.closest(".card").dataset.id === id ? 0 : -1
  }

  #press(event) {
    const id = event.target.closest(".title") && event.target.closest(".card").dataset.id
    const step = STEPS[event.key]
    if (!id || event.ctrlKey || event.metaKey || event.altKey)
      return
    if (event.key === " ")
      this.#lifted ? this.#put(true) : this.#lift(id)
    else if (event.key === "Escape" && this.#lifted)
      this.#put(false)
    else if (event.key === "Enter" && this.#lifted)
      this.#put(true)
    else if (step)
      this.#lifted ? this.#carry(id, ...step) : this.#go(id, ...step)
    else
      return
    event.preventDefault()
  }

  /** The card in this direction, over columns that are empty. */
  #go(id, across, down) {
    const { column, index } = this.#board.placeOf(id)
    let next = this.#board.inColumn(column)[index + down]
    for (let at = COLUMNS.indexOf(column) + across; across && COLUMNS[at]; at += across) {
      const ids = this.#board.inColumn(COLUMNS[at])
      next = ids[Math.min(index, ids.length - 1)]
      if (next)
        break
    }
    if (next)
      this.#board.element(next).querySelector(".title").focus()
  }

  #lift(id) {
    this.#lifted = id
    this.#board.element(id).classList.add("held")
    this.#acts.say(`${this.#board.card(id).title}: lifted. Arrows move it, Space puts it down, Escape takes it back.`)
  }

  #carry(id, across, down) {
    const { column, index } = this.#board.placeOf(id), to = COLUMNS[COLUMNS.indexOf(column) + across]
    if (!to)
      return
    const most = this.#board.inColumn(to).length - (to === column)
    const at = Math.max(0, Math.min(most, index + down))
    this.#board.preview(id, to, at)
    this.#board.element(id).querySelector(".title").focus()
    this.#acts.say(`${nameOf(to)}, ${at + 1} of ${this.#board.inColumn(to).length}.`)
  }

  #put(isMeant) {
    const id = this.#lifted, { title } = this.#board.card(id)
    this.#lifted = undefined
    this.#board.element(id).classList.remove("held")
    if (isMeant)
      this.#acts.say(`${title}: in ${nameOf(this.#board.placeOf(id).column)}.`)
    else
      this.#acts.say(`${title}: back where it was.`)
    isMeant ? this.#board.settle(id) : this.#board.restore(id)
  }
}

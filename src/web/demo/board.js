/**
 * Board: the cards, where they stand, and the three ways to move one: by pointer, by keys, by the two buttons that each has.
 *
 * What the backend says of a card counts by its version. What a person does is shown at once, as a place that goes before the card's
 * own, until the backend has answered.
 */

import { Dragging } from "./dragging.js"
import { Keys } from "./keys.js"
import { glide, land } from "./motion.js"
import { cardElement, columnElement, paint } from "./parts.js"

export const COLUMNS = ["plan", "implement", "test", "review", "done"]

export const nameOf = column => column[0].toUpperCase() + column.slice(1)

export class Board {
  #$
  #acts
  #cards = new Map() // by id: what the backend said last
  #places = new Map() // by id: {column, rank} where somebody here has put it
  #elements = new Map() // by id
  #lists = new Map() // by column
  #keys

  /** acts: move(id, column, rank), a promise; choose(card); say(text). */
  constructor($, acts) {
    this.#$ = $
    this.#acts = acts
    for (const column of COLUMNS) {
      const { section, list } = columnElement(column, nameOf(column))
      this.#lists.set(column, list)
      $("columns").append(section)
    }
    this.#keys = new Keys(this, $("columns"), acts)
    new Dragging(this, $("columns"), $("ghosts"))
  }

  isEmpty(text) {
    this.#$("empty").hidden = !text
    this.#$("empty").textContent = text
  }

  /** All cards, as the backend has them. */
  fill(cards) {
    this.isEmpty("")
    for (const id of [...this.#cards.keys()].filter(id => !cards.some(card => card.id === id)))
      this.#forget(id)
    for (const card of cards)
      this.#take(card)
    this.render()
  }

  /** One card, as it has become. */
  put(card) {
    const before = this.#cards.get(card.id)
    if (!this.#take(card))
      return
    const hasMoved = before && before.column !== card.column
    this.render()
    if (!hasMoved)
      return
    land(this.#elements.get(card.id))
    if (card.by)
      this.#acts.say(`${card.by} moved ${card.title} to ${nameOf(card.column)}.`)
  }

  card(id) {
    return this.#cards.get(id)
  }

  element(id) {
    return this.#elements.get(id)
  }

  /** {column, index}, as it is shown. */
  placeOf(id) {
    const { column } = this.#shown(id)
    return { column, index: this.inColumn(column).indexOf(id) }
  }

  /** The ids of a column's cards from top to bottom, as they are shown. */
  inColumn(column) {
    return [...this.#cards.keys()].map(id => ({ id, ...this.#shown(id) })).filter(place => place.column === column)
      .sort((a, b) => a.rank - b.rank || (a.id < b.id ? -1 : 1)).map(({ id }) => id)
  }

  /** Shows it there, for nobody else to see. */
  preview(id, column, index) {
    const others = this.inColumn(column).filter(other => other !== id).map(other => this.#shown(other).rank)
    const [above, below] = [others[index - 1], others[index]]
    const rank = above === undefined ? (below ?? 1) - 1 : below === undefined ? above + 1 : (above + below) / 2
    this.#places.set(id, { column, rank })
    this.render()
  }

  /** Back to where the backend has it. */
  restore(id) {
    this.#places.delete(id)
    this.render()
  }

  /** For all to see: the place that is shown. */
  async settle(id) {
    const place = this.#places.get(id), card = this.#cards.get(id)
    if (!place || (place.column === card.column && place.rank === card.rank))
      return this.restore(id)
    this.#elements.get(id).classList.add("pending")
    try {
      this.#take(await this.#acts.move(id, place.column, place.rank))
    } catch ({ message }) {
      this.#acts.say(`${card.title} was not moved: ${message}`)
    }
    this.#elements.get(id)?.classList.remove("pending")
    if (this.#places.get(id) === place)
      this.restore(id)
  }

  choose(id) {
    for (const [other, element] of this.#elements)
      element.classList.toggle("chosen", other === id)
    this.#acts.choose(this.#cards.get(id))
  }

  render() {
    const move = () => {
      for (const column of COLUMNS) {
        const list = this.#lists.get(column), ids = this.inColumn(column)
        ids.forEach((id, at) => {
          const element = this.#elements.get(id)
          if (list.children[at] !== element)
            list.insertBefore(element, list.children[at] ?? null)
          paint(element, this.#cards.get(id), column)
        })
        list.parentElement.querySelector(".count").textContent = ids.length
      }
    }
    const focused = document.activeElement
    glide([...this.#elements.values()], move)
    if (focused !== document.activeElement && focused?.isConnected)
      focused.focus({ preventScroll: true }) // which it lost while it moved to another list
    this.#keys.refresh()
  }

  #shown(id) {
    return this.#places.get(id) ?? this.#cards.get(id)
  }

  /** False if it is older than what is known. */
  #take(card) {
    if (this.#cards.get(card.id)?.version > card.version)
      return false
    this.#cards.set(card.id, card)
    if (!this.#elements.has(card.id))
      this.#elements.set(card.id, cardElement(card, this.#nudge))
    return true
  }

  #forget(id) {
    this.#cards.delete(id)
    this.#places.delete(id)
    this.#elements.get(id).remove()
    this.#elements.delete(id)
  }

  #nudge = (id, by) => {
    const { column } = this.placeOf(id), next = COLUMNS[COLUMNS.indexOf(column) + by]
    if (!next)
      return
    this.preview(id, next, this.inColumn(next).length)
    this.settle(id)
    this.#acts.say(`${this.#cards.get(id).title}: to ${nameOf(next)}.`)
  }
}

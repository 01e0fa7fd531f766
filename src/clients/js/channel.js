/**
 * Channel: what one channel has said, one thing after the other.
 *
 * Two positions: `position` is that of the newest event that was heard, from where a new connection goes on. `onDone` is told
 * the position of each event that the application has dealt with: that is the one to keep over a reload of the page.
 */

import { isRepetition } from "./position.js"

export class Channel {
  isEndpoint = false // the endpoint's path joins it
  wanted = 0 // subscriptions that the application holds
  isKnown = false // the application was told once to load its state
  isAnswered = false // and that by this object, so that whoever comes later has to be told as well
  isLeft = false // nobody holds a subscription any more: what still comes was on its way
  #waiting = []
  #isBusy = false
  #onDone

  constructor(name, position, onDone) {
    this.name = name
    this.position = position
    this.isKnown = position !== undefined
    this.#onDone = onDone
  }

  /** listeners(): whom to tell, asked when it is their turn. */
  hear(event, listeners) {
    if (isRepetition(event.pos, this.position))
      return
    this.position = event.pos ?? this.position
    this.#tell({ listeners, types: new Set([event.type, "*"]), args: [event.data, event], position: event.pos })
  }

  /** The gateway's answer to a subscribe, or a resync: go on from its position, with a new state where the old one has a hole. */
  goOn(told, listeners) {
    const { pos, reason } = told
    const isWhole = told.continuous ?? told.recovered ?? false
    if (!isWhole || told.retracted || !isRepetition(pos, this.position)) // what came while it was on its way stays heard
      this.position = pos ?? this.position
    if (told.retracted)
      this.#tell({ listeners, types: ["retracted"], args: [told.retracted, this.name], position: this.position })
    else if (!isWhole || !this.isKnown)
      this.#tell({ listeners, types: ["gap"], args: [this.isKnown ? reason ?? "none" : "first", this.name], position: this.position })
    this.isKnown = this.isAnswered = true
  }

  /** For one who comes when the channel is answered already. Not at once: who begins to listen may have more to do first. */
  welcome(listeners) {
    queueMicrotask(() => this.#tell({ listeners: () => [listeners], types: ["gap"], args: ["first", this.name] }))
  }

  async #tell(item) {
    this.#waiting.push(item)
    if (this.#isBusy)
      return
    this.#isBusy = true
    for (let next; (next = this.#waiting.shift());) {
      for (const one of next.listeners()) {
        const promise = one.tell(next.types, ...next.args)
        if (promise) // listeners that are done at once keep what they hear in the turn in which it came
          await promise
      }
      if (next.position && !this.isLeft)
        this.#onDone(next.position)
    }
    this.#isBusy = false
  }
}

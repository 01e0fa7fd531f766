/** Pace: no more messages than a gateway takes of one connection (`message_rate` and `message_burst`), with room for others. */

const BURST = 100
const PER_SECOND = 40

export class Pace {
  #send
  #waiting = []
  #tokens = BURST
  #filledMs = Date.now()
  #timer

  constructor(send) {
    this.#send = send
  }

  /** Sends it now, or as soon as the pace allows, in order. */
  take(text) {
    this.#waiting.push(text)
    this.#go()
  }

  /** What still waits was for a connection that is gone. A new one begins with a full burst. */
  restart() {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#waiting = []
    this.#tokens = BURST
  }

  #go() {
    const now = Date.now()
    this.#tokens = Math.min(BURST, this.#tokens + ((now - this.#filledMs) * PER_SECOND) / 1000)
    this.#filledMs = now
    while (this.#waiting.length && this.#tokens >= 1) {
      this.#tokens--
      this.#send(this.#waiting.shift())
    }
    if (this.#waiting.length)
      this.#timer ??= setTimeout(() => {
        this.#timer = undefined
        this.#go()
      }, 1000 / PER_SECOND)
  }
}

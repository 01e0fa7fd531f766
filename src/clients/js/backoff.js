/** Back-off: how long to wait before the next try. Full jitter: ten thousand pages that were cut at once come back spread out. */

const FIRST_MS = 500
const MOST_MS = 30000

export class Backoff {
  #boundMs = FIRST_MS

  /** The wait before the next try, at least `leastMs`. Each call doubles the bound. */
  next(leastMs = 0) {
    const wait = leastMs + Math.random() * this.#boundMs
    this.#boundMs = Math.min(2 * this.#boundMs, MOST_MS)
    return wait
  }

  /** The gateway has answered: the next trouble is a new one. */
  reset() {
    this.#boundMs = FIRST_MS
  }
}

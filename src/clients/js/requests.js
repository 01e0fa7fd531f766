/** Requests: what was asked and is not answered yet, each under an id of its own. */

export class TidegateError extends Error {
  /** code: the gateway's or the worker's. retryAfterMs: when it may be said again, if that helps. */
  constructor({ code, message, retry_after_ms: retryAfterMs }) {
    super(message ?? code)
    this.name = "TidegateError"
    this.code = code
    this.retryAfterMs = retryAfterMs
  }
}

export class Requests {
  #byId = new Map()
  #last = 0

  /**
   * answer(message, isNew): called with each answer; with `more` further ones follow, and after a repetition those that were heard
   * come again, not new. fail(error): it is not done. repeat: say it again on the next connection, if it is not answered on this one.
   * Returns the message with its id.
   */
  add(message, { answer, fail, repeat = false }) {
    const request = { message: { ...message, id: ++this.#last }, answer, fail, repeat, n: 0, heard: 0 }
    this.#byId.set(this.#last, request)
    return request.message
  }

  /** False if nobody asked. */
  settle(message) {
    const request = this.#byId.get(message.id)
    if (!request)
      return false
    if (!message.more)
      this.#byId.delete(message.id)
    if (message.type === "error")
      request.fail(new TidegateError(message.data))
    else
      request.answer(message, !message.more || ++request.n > request.heard)
    request.heard = Math.max(request.heard, request.n)
    return true
  }

  drop(id) {
    this.#byId.delete(id)
  }

  /** What is not answered yet. */
  all() {
    return [...this.#byId.values()].map(({ message }) => message)
  }

  /** On a new connection: what is to be said again. Nobody waits for the others any more. */
  again() {
    const all = [...this.#byId.values()].filter(({ repeat }) => repeat)
    this.#byId = new Map(all.map(request => [request.message.id, request]))
    for (const request of all)
      request.n = 0 // its parts come again from the first one on
    return all.map(({ message }) => message)
  }

  failAll(error) {
    const all = [...this.#byId.values()]
    this.#byId.clear()
    for (const { fail } of all)
      fail(error)
  }
}

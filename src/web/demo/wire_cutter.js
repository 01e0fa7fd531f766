/** Wire cutter: takes the connection away as a tunnel would, for a moment or longer. The client knows nothing of it. */

export class WireCutter {
  #sockets = new Set()
  #isCut = false
  #mending

  constructor() {
    const sockets = this.#sockets
    /** A WebSocket of the browser that can be got hold of. */
    this.WebSocket = class extends WebSocket {
      constructor(...all) {
        super(...all)
        sockets.add(this)
        this.addEventListener("close", () => sockets.delete(this))
      }
    }
  }

  /** Without a time: the client may come back at once. */
  cut(ms = 0) {
    this.#isCut = ms > 0
    if (ms)
      this.#mending = setTimeout(() => this.mend(), ms)
    for (const socket of this.#sockets) {
      const { onclose } = socket
      socket.onmessage = socket.onclose = null // what is on its way is lost, and nobody says goodbye
      socket.close()
      onclose?.({ code: 1006, reason: "" })
    }
    this.#sockets.clear()
  }

  /** The browser says so when a network comes back, and the client tries at once. */
  mend() {
    clearTimeout(this.#mending)
    this.#isCut = false
    dispatchEvent(new Event("online"))
  }

  /** Asked before each connection. */
  wire() {
    if (this.#isCut)
      throw new Error("the wire is cut")
  }
}

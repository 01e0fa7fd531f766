/** World: a clock that stands still until it is moved, sockets whose other end is the test, and a page. Import it first. */

let now = 0
let nextTimer = 1
const timers = new Map()

globalThis.setTimeout = (run, ms = 0) => {
  timers.set(nextTimer, { at: now + ms, run })
  return nextTimer++
}
globalThis.clearTimeout = id => void timers.delete(id)
Date.now = () => now
Math.random = () => 1 // the longest wait
globalThis.reportError = error => world.reported.push(error)

class Target extends EventTarget {
  fire(type, members = {}) {
    this.dispatchEvent(Object.assign(new Event(type), members))
  }
}
globalThis.document = Object.assign(new Target(), { visibilityState: "visible" })
globalThis.window = new Target()
const online = new Target()
globalThis.addEventListener = online.addEventListener.bind(online)
globalThis.removeEventListener = online.removeEventListener.bind(online)
Object.defineProperty(globalThis, "navigator", { value: { onLine: true } })

/** Promises that are under way come to rest. */
export const settle = () => new Promise(resolve => setImmediate(() => setImmediate(resolve)))

export class Socket extends EventTarget {
  sent = []
  isClosed = false
  #isOver = false

  constructor(url, protocols) {
    super()
    if (protocols.some(name => /[\s,;]/.test(name)))
      throw new SyntaxError("no legal name of a subprotocol")
    Object.assign(this, { url: new URL(url), protocols })
    world.sockets.push(this)
  }

  send(text) {
    this.sent.push(JSON.parse(text))
  }

  close() {
    this.isClosed = true
    this.#end()
  }

  #end() {
    if (!this.#isOver)
      this.dispatchEvent(new Event("close"))
    this.#isOver = true
  }

  // --- the other end ---

  async opens() {
    this.dispatchEvent(new Event("open"))
    this.onopen?.({})
    await settle()
  }

  async says(...messages) {
    for (const message of messages)
      this.onmessage?.({ data: JSON.stringify(message) })
    await settle()
  }

  async closes(code, reason = "") {
    this.#end()
    this.onclose?.({ code, reason })
    await settle()
  }

  /** Could not be opened, and says so as Node 22 does: without a close behind it. */
  async fails() {
    this.dispatchEvent(new Event("error"))
    this.onerror?.(new Event("error"))
    await settle()
  }

  /** What the client has said since the last call, but for pings. */
  heard(type) {
    return this.sent.splice(0).filter(message => (type ? message.type === type : message.type !== "ping"))
  }
}
globalThis.WebSocket = Socket

export const world = {
  sockets: [],
  reported: [],

  get socket() {
    return this.sockets.at(-1)
  },

  get timers() {
    return timers.size
  },

  /** Moves the clock, timer by timer. */
  async passes(ms) {
    const end = now + ms
    for (;;) {
      await settle()
      const [id, timer] = [...timers].sort(([, a], [, b]) => a.at - b.at)[0] ?? []
      if (!timer || timer.at > end)
        break
      timers.delete(id)
      now = Math.max(now, timer.at)
      timer.run()
    }
    now = end
    await settle()
  },

  /** The machine, or the page, stood still for so long: all timers that are due run late, one after the other. */
  async sleeps(ms) {
    now += ms
    await this.passes(0)
  },

  offline: () => (navigator.onLine = false),

  online() {
    navigator.onLine = true
    online.fire("online")
  },

  show(isVisible) {
    document.visibilityState = isVisible ? "visible" : "hidden"
    document.fire("visibilitychange")
  },

  reset() {
    timers.clear()
    this.sockets = []
    this.reported = []
    document.visibilityState = "visible"
    navigator.onLine = true
  },
}

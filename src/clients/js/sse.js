/**
 * The client with a second way: where WebSockets do not open and HTTP passes, it hears server-sent events and says by POST what it
 * has to say. The same API, and a few hundred bytes more.
 *
 *   import { connect } from "tidegate/sse"
 */

import { protocolsWith } from "./line.js"
import { Stream } from "./stream.js"
import { connect as connectBySocket, TidegateError } from "./tidegate.js"

export { TidegateError }

const SOCKETS_MAX = 2 // that may fail in a row before a stream is tried
const LOOK_MS = 60000 // after so long on a stream it looks whether sockets open now; each time after twice as long
const LOOK_MOST_MS = 30 * 60000

/** Where a route's stream is, if nobody has said otherwise: /sse/cards for /ws/cards. */
const besideSocket = url => Object.assign(new URL(url), { pathname: url.pathname.replace(/^(.*)\/ws\//, "$1/sse/") })

class Ways {
  #options
  #failed = 0 // sockets in a row
  #streams = false // that way was open last
  #lookMs = LOOK_MS
  #timer
  #turn = 0 // of looking: a token that comes after its turn is of no use any more
  #probe // the socket that is tried beside a stream

  constructor(options) {
    this.#options = options
  }

  open(url, protocols) {
    if (this.#options.WebSocket && !this.#streams && this.#failed < SOCKETS_MAX)
      return this.#openSocket(url, protocols)
    this.#failed = SOCKETS_MAX - 1 // if the stream fails, too, it is a socket's turn
    return this.#openStream(url, protocols)
  }

  #openSocket(url, protocols) {
    const socket = new this.#options.WebSocket(url, protocols)
    let isTold = false // whether it opened
    socket.addEventListener("open", () => {
      isTold = true
      this.#failed = 0
      this.#lookMs = LOOK_MS
    })
    for (const type of ["error", "close"]) // behind an error there may be no close, see line.js
      socket.addEventListener(type, () => {
        this.#failed += !isTold
        isTold = true
      })
    return socket
  }

  #openStream(url, protocols) {
    const at = new URL(url)
    at.protocol = at.protocol.replace("ws", "http")
    this.#streams = false
    const stream = new Stream(new URL(this.#options.sse(at), at).href, protocols, this.#options.fetch, {
      opened: () => {
        this.#streams = true
        this.#lookLater(stream, url)
      },
      ended: () => this.#stopLooking(),
    })
    return stream
  }

  #lookLater(stream, url) {
    if (!this.#options.WebSocket)
      return
    this.#timer = setTimeout(() => this.#look(stream, url), this.#lookMs)
    this.#lookMs = Math.min(2 * this.#lookMs, LOOK_MOST_MS)
  }

  #stopLooking() {
    this.#turn++
    clearTimeout(this.#timer)
    if (!this.#probe)
      return
    this.#probe.onopen = this.#probe.onclose = null
    this.#probe.close()
    this.#probe = undefined
  }

  /**
   * Does a socket open now? Then the client goes over to another, which resumes where the stream was. The token is a fresh one: that
   * of the stream may have ended long ago. Nothing that was missed is asked for, since this socket hears nothing.
   */
  async #look(stream, url) {
    const turn = this.#turn
    const later = () => {
      this.#stopLooking()
      this.#lookLater(stream, url)
    }
    this.#timer = setTimeout(later, LOOK_MS / 4)
    try {
      const token = await this.#options.token?.()
      if (turn !== this.#turn)
        return
      const at = new URL(url)
      at.searchParams.delete("since")
      const socket = (this.#probe = this.#openSocket(at.href, protocolsWith(token)))
      socket.onerror = () => {}
      socket.onclose = later
      socket.onopen = () => {
        this.#streams = false
        stream.onmessage?.({ data: '{"type":"reconnect","data":{"after_ms":0}}' })
        stream.end(1012, "a socket opens") // and with the stream its probe ends
      }
    } catch { // the application's, or that of a WebSocket to whom the token is no legal name
      if (turn === this.#turn)
        later()
    }
  }
}

/** As connect() of "tidegate". sse(url): where the stream of this URL is, if that is not /sse/… for /ws/…. fetch: where the runtime has none. */
export function connect(url, { sse = besideSocket, ...options } = {}) {
  const ways = new Ways({ sse, WebSocket: globalThis.WebSocket, fetch: (...call) => globalThis.fetch(...call), ...options })
  const Either = function (...call) {
    return ways.open(...call)
  }
  return connectBySocket(url, { ...options, WebSocket: Either })
}

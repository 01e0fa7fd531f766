/**
 * Line: one WebSocket after the other to the same endpoint, until it is closed for good.
 *
 *   connecting ──► open ⇄ degraded
 *       ▲           │ broken, closed by the gateway
 *       └─ waiting ◄┘            (a close code that asks not to come back: closed)
 */

import { Backoff } from "./backoff.js"
import { RENEW, STOP, onClose } from "./close_codes.js"
import { Pace } from "./pace.js"
import { isHidden, isOffline, watchPage } from "./page.js"

const OPEN_MS = 15000 // a gateway holds an answer for 2 s at most; networks that swallow packets never answer
const QUIET_MS = 25000 // so long without a word, and we ask; gateways ping below, where a page does not see it
const PONG_MS = 10000
const WAKE_PONG_MS = 5000 // who wakes up has been away long enough
const LATE_MS = 2000 // a timer that comes so late was held up
const OFFLINE_MS = 60000 // between two tries without a network; a browser that is wrong about it never says that there is one
const HIDDEN_MS = 15000 // the least that a hidden page waits between two tries
const REFUSED_MAX = 2 // fresh tokens in a row that may be refused

/** What a connection offers: our protocol, and the token, which so stands in no URL. */
export const protocolsWith = token => ["tidegate.v1", ...(token?.trim() ? [`tidegate.bearer.${token.trim()}`] : [])]

export class Line {
  #options
  #up
  #backoff = new Backoff()
  #pace = new Pace(text => this.#socket?.send(text))
  #socket
  #turn = 0 // what an older turn still waits for is of no use any more
  #timer
  #refused = 0
  #hintMs
  #isAsleep = false
  #trustsOffline = true // a browser may call a machine offline that reaches its gateway all the same
  #away = new Set() // channels whose events may be late; undefined: all
  #stopWatching
  state = { name: "connecting" }

  /** options: token, WebSocket. up: url(), open(), message(object), state(state). */
  constructor(options, up) {
    this.#options = options
    this.#up = up
    this.#stopWatching = watchPage({ wake: () => this.#wake(), sleep: () => this.#sleep() })
    this.#connect()
  }

  get isOpen() {
    return this.state.name === "open" || this.state.name === "degraded"
  }

  send(message) {
    this.#pace.take(JSON.stringify(message))
  }

  close(code = 1000, reason = "") {
    if (this.state.name === "closed")
      return
    this.#stopWatching()
    this.#drop(code, reason)
    this.#change({ name: "closed", code, reason })
  }

  /** Of this channel nothing is late any more, or nobody wants to know. */
  restored(channel) {
    if (this.#away.delete(channel))
      this.#awayChanged()
  }

  #degraded(channel) {
    this.#away.add(channel)
    this.#awayChanged()
  }

  #awayChanged() {
    const away = this.#away
    this.#change(!away.size ? { name: "open" } : away.has(undefined) ? { name: "degraded" } : { name: "degraded", channels: [...away] })
  }

  /** A fresh token for the connection that is open. */
  async renew() {
    const turn = this.#turn
    try {
      const token = (await this.#options.token?.())?.trim()
      if (token && turn === this.#turn)
        this.send({ type: "auth", data: { token } })
    } catch {
      // the next one is asked for when the gateway has closed the connection
    }
  }

  // --- one connection ---

  async #connect() {
    const turn = ++this.#turn
    clearTimeout(this.#timer)
    this.#isAsleep = false
    this.#change({ name: "connecting" })
    this.#timer = setTimeout(() => this.#broken(1006, "no token"), OPEN_MS)
    try {
      const token = await this.#options.token?.()
      if (turn === this.#turn)
        this.#open(token)
    } catch (error) { // the application's, or that of a WebSocket to whom the token is no legal name
      if (turn !== this.#turn)
        return
      clearTimeout(this.#timer)
      this.#wait(0, { error })
    }
  }

  #open(token) {
    const { WebSocket = globalThis.WebSocket } = this.#options
    const turn = this.#turn
    const socket = new WebSocket(this.#up.url(), protocolsWith(token))
    this.#socket = socket
    // Before it is open no close may come behind it (Node 22); later the close says all. The package `ws` throws where nobody listens.
    socket.onerror = () => turn === this.#turn && !this.isOpen && this.#broken(1006, "")
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#broken(1006, "no answer"), OPEN_MS)
    socket.onopen = () => {
      this.#trustsOffline = !isOffline()
      this.#away.clear()
      this.#change({ name: "open" })
      this.#listen(QUIET_MS)
      this.#up.open()
    }
    socket.onmessage = ({ data }) => this.#hear(data)
    socket.onclose = ({ code, reason }) => this.#broken(code, reason)
  }

  #hear(text) {
    const message = JSON.parse(text)
    this.#backoff.reset()
    this.#refused = 0
    this.#listen(QUIET_MS)
    if (!("channel" in message)) {
      const { type, data } = message
      if (type === "degraded")
        this.#degraded(data?.channel)
      else if (type === "restored")
        this.restored(data?.channel)
      else if (type === "reconnect")
        this.#hintMs = data.after_ms
      else if (type === "token_expiring" || type === "refresh")
        this.renew()
    }
    this.#up.message(message)
  }

  /** Asks after so much silence whether the connection still stands. */
  #listen(quietMs, pongMs = PONG_MS, isAgain = false) {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      const due = Date.now() + pongMs
      this.send({ type: "ping" })
      this.#timer = setTimeout(() => {
        if (!isAgain && Date.now() > due + LATE_MS) // timers stood still, as those of hidden pages do; the answer may lie there unread
          return this.#listen(0, WAKE_PONG_MS, true)
        this.#drop()
        this.#connect()
      }, pongMs)
    }, quietMs)
  }

  /** Lets go of the socket, and of whatever it may still say. */
  #drop(code, reason) {
    const socket = this.#socket
    this.#turn++
    clearTimeout(this.#timer)
    this.#pace.restart()
    this.#socket = undefined
    if (!socket)
      return
    socket.onopen = socket.onmessage = socket.onclose = null
    socket.close(code, reason)
  }

  // --- between two connections ---

  #broken(code, reason) {
    const { then, waitMs } = onClose(code)
    this.#drop()
    if (then === STOP || (then === RENEW && !(this.#options.token && this.#refused++ < REFUSED_MAX)))
      this.close(code, reason)
    else
      this.#wait(waitMs, { code, reason })
  }

  /** Without a network there is little to try: it waits to be woken, and for long. */
  #wait(leastMs = 0, why = {}) {
    const waitsForNetwork = isOffline() && this.#trustsOffline
    const ms = waitsForNetwork ? OFFLINE_MS : this.#hintMs ?? this.#backoff.next(Math.max(leastMs, isHidden() ? HIDDEN_MS : 0))
    this.#hintMs = undefined
    this.#timer = setTimeout(() => this.#connect(), ms)
    this.#change({ name: "waiting", ms, isOffline: isOffline(), ...why })
  }

  #wake() {
    if (this.isOpen)
      this.#listen(0, WAKE_PONG_MS)
    else if (this.state.name === "waiting" || this.#isAsleep)
      this.#connect()
  }

  /** An open socket would keep the page out of the back-forward cache. */
  #sleep() {
    if (this.state.name === "closed")
      return
    this.#isAsleep = true
    this.#drop()
    this.#change({ name: "waiting" })
  }

  #change(state) {
    this.state = state
    this.#up.state(state)
  }
}

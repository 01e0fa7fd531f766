/**
 * Client of the Tidegate gateway: one socket, many channels, and nothing lost in between.
 *
 *   const tidegate = connect("/ws/cards", { token: async () => (await fetch("/token")).text() })
 *   tidegate.on("gap", () => loadCards())           // the first time, and whenever events are missing
 *   tidegate.on("card_updated", card => show(card))
 */

import { makeAction } from "./actions.js"
import { Channel } from "./channel.js"
import { Line } from "./line.js"
import { Listeners } from "./listeners.js"
import { Positions } from "./positions.js"
import { Requests, TidegateError } from "./requests.js"

export { TidegateError }

const AGAIN = ["busy", "rate", "unavailable"] // errors of a subscribe that another try may mend
const AGAIN_MS = 1000

function socketUrl(text) {
  const url = new URL(text, globalThis.location?.href)
  url.protocol = url.protocol.replace("http", "ws")
  if (!/^wss?:$/.test(url.protocol))
    throw new TypeError(`${text} is no address of a WebSocket`)
  return url
}

class Tidegate {
  #addresses
  #taken = 0 // of the addresses
  #line
  #listeners = new Listeners() // of the endpoint's channels, and of the connection
  #subscribers = new Map() // by channel: Set of Listeners
  #channels = new Map()
  #positions
  #requests = new Requests()
  #timers = new Set()
  action = makeAction((message, way) => this.#say(message, way), id => this.#requests.drop(id))

  constructor(url, { storage, ...options }) {
    this.#addresses = Array.isArray(url) ? url : [url]
    this.#positions = new Positions(storage, socketUrl(this.#addresses[0]).href)
    for (const [name, { isEndpoint }] of this.#positions.entries())
      this.#channel(name).isEndpoint = isEndpoint
    this.#line = new Line(options, {
      url: () => this.#resumingUrl(),
      open: () => this.#opened(),
      message: message => this.#hear(message),
      state: state => this.#change(state),
    })
  }

  get state() {
    return this.#line.state
  }

  on(type, listener) {
    return this.#listen(this.#listeners, [...this.#channels.values()].filter(({ isEndpoint }) => isEndpoint), type, listener)
  }

  /** history: go on from where the channel was, after a broken connection or a reload of the page; "all": begin with all that is kept. */
  subscribe(name, { history = true } = {}) {
    if (this.#channels.get(name)?.isLeft)
      this.#channels.delete(name) // a new one, which knows nothing of what the old one heard
    const channel = this.#channel(name)
    const listeners = new Listeners()
    this.#subscribers.set(name, (this.#subscribers.get(name) ?? new Set()).add(listeners))
    channel.keepsHistory = history
    if (++channel.wanted === 1 && this.#line.isOpen)
      this.#ask(channel)
    return {
      channel: name,
      on: (type, listener) => this.#listen(listeners, [channel], type, listener),
      unsubscribe: () => this.#leave(channel, listeners),
    }
  }

  /** Who is on the channel now. */
  presence(channel) {
    return new Promise((resolve, reject) =>
      this.#say({ type: "presence", data: { channel } }, { repeat: true, answer: ({ data }) => resolve(data), fail: reject }))
  }

  close() {
    this.#line.close()
  }

  // --- the connection ---

  #change(state) {
    if (state.name === "closed")
      this.#failAll(state)
    this.#listeners.tell(["state"], state)
  }

  /** There is no connection any more, and there will be none. */
  #failAll({ reason }) {
    for (const timer of this.#timers)
      clearTimeout(timer)
    this.#requests.failAll(new TidegateError({ code: "closed", message: reason || "the client was closed" }))
  }

  #later(run, ms = AGAIN_MS) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      if (this.#line.isOpen)
        run()
    }, ms)
    this.#timers.add(timer)
  }

  /** Says where the endpoint's channels were. The first time that is "now": their state is loaded after the answer. */
  #resumingUrl() {
    const url = socketUrl(this.#addresses[this.#taken++ % this.#addresses.length])
    for (const channel of this.#channels.values())
      if (channel.isEndpoint && channel.position)
        url.searchParams.append("since", channel.position)
    if (!url.searchParams.has("since"))
      url.searchParams.set("since", "now")
    return url.href
  }

  #opened() {
    for (const message of this.#requests.again())
      this.#line.send(message)
    for (const channel of this.#channels.values())
      if (channel.wanted)
        this.#ask(channel)
      else
        this.#forget(channel)
  }

  #hear(message) {
    if ("channel" in message)
      this.#deliver(message)
    else if (!this.#requests.settle(message) && message.id === undefined && message.data?.channel)
      this.#told(message)
    else if (message.data?.code === "rate" && message.id === undefined) // some were not read, and nobody knows which
      this.#later(() => this.#requests.all().forEach(each => this.#line.send(each)), message.data.retry_after_ms)
  }

  #deliver(event) {
    const isNew = !this.#channels.has(event.channel)
    const channel = this.#channel(event.channel)
    channel.isEndpoint ||= isNew // nobody subscribed to it, so the path did
    channel.hear(event, () => this.#listenersOf(channel))
  }

  /** What the gateway says of a channel without being asked: of those of the path, and of a log that has changed. */
  #told({ type, data }) {
    const channel = this.#channel(data.channel)
    if (type === "subscribed")
      channel.isEndpoint = true
    if (type === "subscribed" || type === "resync")
      channel.goOn(data, () => this.#listenersOf(channel))
    else if (type === "error" || type === "unsubscribed")
      this.#fail(channel, new TidegateError(type === "error" ? data : { code: data.reason ?? type }))
    if (type === "unsubscribed") {
      channel.isEndpoint = false
      this.#line.restored(channel.name)
    }
  }

  // --- channels ---

  #channel(name) {
    let channel = this.#channels.get(name)
    if (!channel) {
      channel = new Channel(name, this.#positions.get(name), position => this.#positions.keep(name, position, channel.isEndpoint))
      this.#channels.set(name, channel)
    }
    return channel
  }

  /** Whoever begins to ask for gaps has a state to load, also where a channel was answered long ago. */
  #listen(listeners, channels, type, listener) {
    const offs = [listeners.on(type, listener)]
    for (const channel of type === "gap" ? channels : [])
      if (channel.isAnswered) {
        const alone = new Listeners()
        offs.push(alone.on(type, listener))
        channel.welcome(alone)
      }
    return () => offs.forEach(off => off())
  }

  #listenersOf(channel) {
    return [...(channel.isEndpoint ? [this.#listeners] : []), ...(this.#subscribers.get(channel.name) ?? [])]
  }

  #ask(channel) {
    const { name, position, keepsHistory } = channel
    const begin = keepsHistory === "all" ? { since: "start" } : { recover: true }
    channel.isKnown ||= keepsHistory === "all" // what is missing then is told with its reason
    const data = { channel: name, ...(!keepsHistory ? {} : position ? { since: position } : begin) }
    this.#say({ type: "subscribe", data }, {
      answer: message => channel.goOn(message.data, () => this.#listenersOf(channel)),
      fail: error => {
        if (AGAIN.includes(error.code))
          this.#later(() => channel.wanted && this.#ask(channel), error.retryAfterMs)
        else
          this.#fail(channel, error)
      },
    })
  }

  #leave(channel, listeners) {
    const all = this.#subscribers.get(channel.name)
    if (!all?.delete(listeners) || --channel.wanted)
      return
    this.#subscribers.delete(channel.name)
    if (channel.isEndpoint)
      return
    channel.isLeft = true
    this.#line.restored(channel.name)
    this.#positions.drop(channel.name)
    const done = () => this.#forget(channel) // not before: events may be on their way
    if (!this.#line.isOpen)
      done()
    else
      this.#say({ type: "unsubscribe", data: { channel: channel.name } }, { answer: done, fail: done })
  }

  #forget(channel) {
    if (!channel.wanted && !channel.isEndpoint && this.#channels.get(channel.name) === channel)
      this.#channels.delete(channel.name)
  }

  #fail(channel, error) {
    for (const listeners of this.#listenersOf(channel))
      listeners.tell(["error"], error, channel.name)
  }

  #say(message, way) {
    // A copy: a repetition says the same whatever becomes of the data, and what is no JSON throws before it is kept.
    const whole = this.#requests.add(JSON.parse(JSON.stringify(message)), way)
    if (this.#line.isOpen)
      this.#line.send(whole)
    else if (this.state.name === "closed")
      queueMicrotask(() => this.#failAll(this.state))
    return whole.id
  }
}

/**
 * url: absolute, or relative to the page; http and https count as ws and wss. Throws a TypeError for what is none. Or an array of
 * them, of which each connection takes the next; it may grow meanwhile.
 */
export const connect = (url, options = {}) => new Tidegate(url, options)

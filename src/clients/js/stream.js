/**
 * Stream: what looks like a WebSocket, where there is none: it hears an event stream, and says by POST what a socket would say.
 *
 * Each POST is answered by an event stream of its own, which ends when all of it is answered; one that subscribes stays. If any
 * of them breaks, the whole is broken, so that whoever holds it comes back and says again what was not answered.
 */

import { eventLines } from "./event_lines.js"

const SILENT_MS = 65000 // where the gateway does not say how often it gives a sign of life
const LATE_MS = 5000
const CLOSE_CODES = { 401: 4001, 429: 4101, 503: 1013 } // as the gateway closes a socket for that

export class Stream {
  #fetch
  #url
  #token
  #end = new AbortController() // of everything
  #everyMs = SILENT_MS - LATE_MS
  #heardMs = Date.now()
  #timer
  #joined = new Set() // the channels of the path
  #posts = new Map() // by channel: the one that subscribed to it
  #waiting = [] // to be said
  #saying // the POST that has not been read yet

  /** up: opened(), ended(). */
  constructor(url, protocols, fetch, up) {
    this.#fetch = fetch
    this.#url = url
    this.#token = protocols.map(name => name.match(/^tidegate\.bearer\.(.*)/)?.[1]).find(Boolean)
    this.up = up
    this.#listen()
  }

  /** What is said in one turn goes in one POST, and the next one when that has been read. */
  send(text) {
    const message = JSON.parse(text)
    const { type, id, data } = message
    if (type === "auth")
      this.#token = data.token
    else if (type === "ping" && Date.now() < this.#heardMs + this.#everyMs + LATE_MS)
      this.#tell({ type: "pong", id })
    else if (type === "unsubscribe")
      this.#leave(id, data.channel)
    else if (type === "subscribe" && this.#joined.has(data.channel) && data.since !== "start")
      this.#tell({ type: "subscribed", id, data: { channel: data.channel, recovered: true } }) // and how it is resumed, the stream says
    else {
      this.#waiting.push(message)
      queueMicrotask(() => this.#say())
    }
  }

  close() {
    if (this.#end.signal.aborted)
      return
    clearTimeout(this.#timer)
    this.#end.abort()
    this.up.ended()
  }

  /** The other side closes it. */
  end(code, reason = "") {
    if (this.#end.signal.aborted)
      return
    this.close()
    this.onclose?.({ code, reason })
  }

  #tell(message) {
    queueMicrotask(() => this.#end.signal.aborted || this.onmessage?.({ data: JSON.stringify(message) }))
  }

  #request(more, signal = this.#end.signal) {
    const headers = { ...more.headers, ...(this.#token && { Authorization: `Bearer ${this.#token}` }) }
    return this.#fetch(this.#url, { cache: "no-store", credentials: "include", ...more, headers, signal })
  }

  // --- to hear ---

  async #listen() {
    let isOpen = false
    try {
      const response = await this.#request({ headers: { Accept: "text/event-stream" } })
      if (!response.ok)
        return await this.#refused(response)
      // Not open before something comes: whoever collects what passes would let nothing through later, either.
      await this.#hear(response, text => {
        this.#watch()
        isOpen ||= this.#note(text)
      }, ({ channel }) => this.#joined.has(channel) && this.#posts.has(channel))
    } catch {
      // broken, or given up here
    }
    this.end(1006)
  }

  /** Something came: the next must within that time. */
  #watch() {
    this.#heardMs = Date.now()
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.end(1006, "silent"), this.#everyMs + LATE_MS)
  }

  /** What the gateway says before all messages. True at its end, which is the line with `retry`. */
  #note(text) {
    const [, name, value] = text.match(/^:(\w+) (.*)/) ?? []
    if (name === "every")
      this.#everyMs = 2 * value
    else if (name === "joins")
      this.#joined.add(value)
    if (!text.startsWith("retry:"))
      return false
    this.up.opened()
    this.onopen?.({})
    return true
  }

  /**
   * note(text): told each line. passes(message): told each message, and says whether nobody is to hear of it.
   * True if it has come to its end.
   */
  async #hear(response, note, passes) {
    let data
    for await (const text of eventLines(response.body)) {
      note(text)
      if (text.startsWith("data: "))
        data = text.slice(6)
      if (text || !data)
        continue
      const message = JSON.parse(data)
      if (message.type === "close" && message.data.code === 1000)
        return true
      if (message.type === "close")
        this.end(message.data.code, message.data.reason)
      else if (!passes(message))
        this.onmessage?.({ data })
      data = undefined
    }
    return false
  }

  async #refused(response) {
    const { code } = await this.#why(response)
    this.end(code === "forbidden" ? 4003 : CLOSE_CODES[response.status] ?? 1006, code)
  }

  async #why(response) {
    const why = await response.json().catch(() => {})
    return { code: "refused", message: `status ${response.status}`, ...why?.data }
  }

  // --- to say ---

  async #say() {
    if (this.#saying || !this.#waiting.length || this.#end.signal.aborted)
      return
    const messages = this.#waiting.splice(0)
    // asked: what it owes an answer. isLeft: it subscribed, and nobody wants any of its channels now.
    const post = { end: new AbortController(), asked: messages.filter(({ id }) => id), isLeft: false }
    this.#saying = post
    for (const { type, data } of messages)
      if (type === "subscribe")
        this.#posts.set(data.channel, post)
    const stop = () => post.end.abort()
    this.#end.signal.addEventListener("abort", stop)
    try {
      const body = messages.map(message => JSON.stringify(message)).join("\n")
      const response = await this.#request({ method: "POST", headers: { "Content-Type": "application/x-ndjson" }, body }, post.end.signal)
      this.#said(post)
      const isDone = response.ok
        ? await this.#hear(response, () => {}, message => this.#passes(post, message))
        : await this.#notRead(response, messages)
      if (!isDone)
        this.end(1006)
    } catch {
      if (!post.end.signal.aborted)
        this.end(1006)
    }
    this.#said(post)
    this.#end.signal.removeEventListener("abort", stop)
  }

  /** It has been read, or nobody wants it to be: the next one may go. */
  #said(post) {
    if (this.#saying === post)
      this.#saying = undefined
    this.#say()
  }

  #leave(id, channel) {
    const post = this.#posts.get(channel)
    this.#posts.delete(channel)
    this.#waiting = this.#withoutSubscribe(this.#waiting, channel)
    if (post) {
      post.asked = this.#withoutSubscribe(post.asked, channel)
      post.isLeft = ![...this.#posts.values()].includes(post)
      this.#endIfLeft(post)
    }
    this.#tell({ type: "unsubscribed", id, data: { channel } })
  }

  /** The messages without the channel's subscribe. That is answered here, since what has no answer may be said again. */
  #withoutSubscribe(messages, channel) {
    return messages.filter(({ type, id, data }) => {
      if (type !== "subscribe" || data.channel !== channel)
        return true
      this.#tell({ type: "error", id, data: { code: "unavailable" } }) // which no listener is told
      return false
    })
  }

  /** True for an event of a channel that was left: nobody is to hear of it. Any other message may be an answer that the POST owes. */
  #passes(post, message) {
    if ("channel" in message)
      return this.#posts.get(message.channel) !== post
    const { id, more, data } = message
    const isSaidAgain = !id && data?.code === "rate" // all that is not answered
    post.asked = post.asked.filter(asked => !isSaidAgain && (more || asked.id !== id))
    this.#endIfLeft(post)
  }

  /** Not before it has answered all that others wait for. */
  #endIfLeft(post) {
    if (post.isLeft && !post.asked.length)
      post.end.abort()
  }

  /** True if another try of the same messages makes sense to those who said them, or they know that it does not. */
  async #notRead(response, messages) {
    const why = await this.#why(response)
    const seconds = response.headers.get("Retry-After")
    if (response.status === 401)
      this.end(4001, why.code)
    else if (seconds)
      this.#tell({ type: "error", data: { ...why, code: "rate", retry_after_ms: 1000 * seconds } })
    else
      for (const { id } of messages)
        this.#tell({ type: "error", id, data: why })
    return true
  }
}

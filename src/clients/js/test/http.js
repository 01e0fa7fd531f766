/** Http: requests whose answers are the test's. Import it behind world.js. */

import { settle, world } from "./world.js"

class Request {
  #answer
  #refuse
  #controller
  #isOver = false

  constructor(url, { signal, ...options }) {
    Object.assign(this, { url: new URL(url), signal, ...options })
    this.answered = new Promise((resolve, reject) => {
      this.#answer = resolve
      this.#refuse = reject
    })
    signal.addEventListener("abort", () => this.fails())
  }

  get isOver() {
    return this.signal.aborted || this.#isOver
  }

  /** What was said, a message a line. */
  get said() {
    return (this.body ?? "").split("\n").filter(Boolean).map(line => JSON.parse(line))
  }

  async answers(status = 200, { body = "", headers = {} } = {}) {
    const stream = new ReadableStream({ start: controller => (this.#controller = controller), cancel: () => (this.#isOver = true) })
    this.#isOver = status !== 200
    this.#answer(status === 200 ? new Response(stream, { headers }) : new Response(JSON.stringify(body), { status, headers }))
    await settle()
  }

  /** Answers as the gateway does, and begins. */
  async opens(...joins) {
    await this.answers()
    await this.passes([...joins.map(channel => `:joins ${channel}\n`), ":every 25000\nretry: 1500\n"].join(""))
  }

  async passes(text) {
    this.#controller.enqueue(typeof text === "string" ? new TextEncoder().encode(text) : text)
    for (let i = 0; i < 5; i++)
      await settle()
  }

  says = (...messages) => this.passes(messages.map(message => `data: ${JSON.stringify(message)}\n\n`).join(""))

  async ends() {
    if (this.isOver)
      return
    this.#isOver = true
    this.#controller.close()
    for (let i = 0; i < 5; i++)
      await settle()
  }

  async fails() {
    this.#isOver = true
    const error = new DOMException("gone", "AbortError")
    this.#refuse(error)
    try {
      this.#controller?.error(error)
    } catch {
      // it has ended
    }
    for (let i = 0; i < 5; i++)
      await settle()
  }
}

export const http = {
  requests: [],

  get request() {
    return this.requests.at(-1)
  },

  fetch: (url, options) => {
    const request = new Request(url, options)
    request.answered.catch(() => {})
    http.requests.push(request)
    return request.answered
  },

  reset() {
    world.reset()
    this.requests = []
  },
}

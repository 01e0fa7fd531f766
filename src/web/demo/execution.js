/** Execution: the log of one card, as it is written, on a channel of its own. */

const LINES_MAX = 200

const clock = at => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" })

export class Execution {
  #$
  #tidegate
  #subscription
  #card

  constructor($, tidegate) {
    this.#$ = $
    this.#tidegate = tidegate
  }

  show(card) {
    if (this.#card?.id === card.id)
      return
    this.#subscription?.unsubscribe()
    this.#card = card
    this.#$("log").replaceChildren()
    this.#$("run-of").textContent = card.title
    this.#$("run-path").hidden = false
    this.#$("run-path").textContent = `/ws/execution/${card.id}`
    this.#subscription = this.#tidegate.subscribe(`execution:${card.id}`, { history: "all" })
    this.#subscription.on("gap", () => this.#$("log").replaceChildren())
    this.#subscription.on("log_line", (line, event) => this.#append(line, event))
  }

  /** Until somebody chooses, it shows what is being worked on. */
  follows(card) {
    if (card.progress && !this.#card)
      this.show(card)
  }

  #append({ text, column }, { timestamp }) {
    const log = this.#$("log")
    const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 24
    const line = document.createElement("li")
    for (const [kind, content] of [["time", clock(timestamp)], ["step", column], ["text", text]]) {
      const part = document.createElement(kind === "time" ? "time" : "span")
      part.className = kind
      part.textContent = content
      line.append(part)
    }
    line.dataset.column = column
    log.append(line)
    while (log.children.length > LINES_MAX)
      log.firstChild.remove()
    if (isAtEnd)
      log.scrollTop = log.scrollHeight
  }
}

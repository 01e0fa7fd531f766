/** Panel: the connection as its user feels it: where it leads, how long it takes, what became of it. */

const MEASURES = 40
const MEASURE_MS = 1500
const CHART = { width: 240, height: 48, least: 10 } // ms of the chart's whole height, at least
const NOTES_MAX = 6

const seconds = ms => `${(ms / 1000).toFixed(1)} s`

export class Panel {
  #$
  #acts
  #node
  #measures = []
  #isMeasuring = false
  #counts = { resumes: 0, events: 0, missed: 0 }
  #version // of the newest event: they have no holes between them
  #brokeAt
  #again // when the next try is, by the clock of the page
  #behind // events that were caught up with since the connection came back; undefined: none are awaited

  /** acts: cut(), cutFor(ms), kill(node), and measure(), a promise. */
  constructor($, acts) {
    this.#$ = $
    this.#acts = acts
    $("cut").onclick = () => acts.cut()
    $("dark").onclick = () => acts.cutFor(10000)
    $("kill").onclick = () => acts.kill(this.#node)
    setInterval(() => this.#measure(), MEASURE_MS)
  }

  change(state) {
    const { name, ms } = state
    this.#again = ms === undefined ? undefined : performance.now() + ms
    this.#$("state").dataset.state = name
    this.#$("state-text").textContent = { open: "live", degraded: "Redis is away", waiting: "cut", closed: `closed, ${state.code}` }[name] ?? name
    this.#countDown()
    for (const button of ["cut", "dark", "kill"])
      this.#$(button).disabled = name !== "open"
    if (name === "waiting" && this.#brokeAt === undefined) {
      this.#brokeAt = performance.now()
      this.note("The connection broke.")
    } else if (name === "open" && this.#brokeAt !== undefined) {
      this.#back()
    }
  }

  /** To the next try. */
  #countDown() {
    if (this.#again === undefined)
      return
    this.#$("state-text").textContent = `cut, again in ${seconds(Math.max(0, this.#again - performance.now()))}`
    requestAnimationFrame(() => this.#countDown())
  }

  #back() {
    const away = performance.now() - this.#brokeAt
    this.#brokeAt = undefined
    this.#show("resumes", ++this.#counts.resumes)
    this.#behind = { n: 0, until: Date.now(), note: this.note("") }
    const told = this.#behind
    told.say = () => {
      const caughtUp = told.n ? `: ${told.n} event${told.n === 1 ? "" : "s"} caught up with` : ", and nothing had happened meanwhile"
      told.note.textContent = `Back after ${seconds(away)}${caughtUp}.`
    }
    told.say()
  }

  isOn(node, mayKill) {
    if (this.#node !== node)
      this.note(`${this.#node ? "Now" : "Connected"} on node ${node.slice(0, 8)}.`)
    this.#node = node
    this.#$("node").textContent = node.slice(0, 8)
    this.#$("kill").hidden = !mayKill
    this.#measure()
  }

  /** Each event has the version behind that of the one before: a hole is one that was missed. */
  heard(version, { timestamp }) {
    this.#show("events", ++this.#counts.events)
    if (this.#version !== undefined && version > this.#version + 1)
      this.#show("missed", (this.#counts.missed += version - this.#version - 1))
    this.#version = version
    if (this.#behind && Date.parse(timestamp) < this.#behind.until) {
      this.#behind.n++
      this.#behind.say()
    }
  }

  /** The state is loaded anew: what comes next has no event before it. */
  lost() {
    if (this.#version !== undefined)
      this.note("More was missed than is kept: loaded anew.")
    this.#version = undefined
  }

  lookers(n) {
    this.#$("lookers").hidden = false
    this.#$("lookers-text").textContent = `${n} ${n === 1 ? "is" : "are"} looking`
    this.#$("faces").replaceChildren(...Array.from({ length: Math.min(n, 5) }, () => document.createElement("i")))
  }

  note(text) {
    const note = document.createElement("li")
    note.textContent = text
    this.#$("journal").prepend(note)
    while (this.#$("journal").children.length > NOTES_MAX)
      this.#$("journal").lastChild.remove()
    return note
  }

  #show(id, count) {
    this.#$(id).textContent = count.toLocaleString()
  }

  async #measure() {
    if (this.#isMeasuring || this.#$("state").dataset.state !== "open" || document.visibilityState === "hidden")
      return
    const began = performance.now()
    this.#isMeasuring = true
    try {
      await this.#acts.measure()
    } catch {
      return // nobody answers, which the board says
    } finally {
      this.#isMeasuring = false
    }
    const ms = performance.now() - began
    this.#$("latency").textContent = `${ms.toFixed(ms < 10 ? 1 : 0)} ms`
    this.#measures = [...this.#measures, ms].slice(-MEASURES)
    this.#draw()
  }

  #draw() {
    const { width, height, least } = CHART
    const most = Math.max(least, ...this.#measures) * 1.15
    const points = this.#measures.map((ms, i) => [width - (this.#measures.length - 1 - i) * (width / (MEASURES - 1)), height - (ms / most) * height])
    const line = points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")
    this.#$("chart-line").setAttribute("d", `M${line}`)
    this.#$("chart-area").setAttribute("d", `M${points[0][0].toFixed(1)} ${height}L${line}L${width} ${height}Z`)
  }
}

/** The board of the demonstration: what the gateway says becomes cards, log lines and a panel; what people do becomes actions. */

import { Board } from "./board.js"
import { Execution } from "./execution.js"
import { Panel } from "./panel.js"
import { paintFace } from "./parts.js"
import { WireCutter } from "./wire_cutter.js"
import { nameOfMine } from "./names.js"
import { connect } from "/tidegate.js"

const $ = id => document.getElementById(id)
const say = text => ($("said").textContent = text)

const me = nameOfMine()
const addresses = ["/ws/cards"] // and, once the worker has said them, those of the other gateways of this machine
const cutter = new WireCutter()
const tidegate = connect(addresses, { WebSocket: cutter.WebSocket, token: () => cutter.wire() })

const panel = new Panel($, {
  cut: () => cutter.cut(),
  cutFor: ms => cutter.cut(ms),
  kill: node => tidegate.action({ name: "kill", node }).catch(({ message }) => panel.note(message)),
  measure: () => tidegate.action({ name: "ping" }, { timeout: 5000 }),
})
const execution = new Execution($, tidegate)
const board = new Board($, {
  move: (card, column, rank) => tidegate.action({ name: "move", card, column, rank, by: me }),
  choose: card => execution.show(card),
  say,
})

/** Who is there: asked once for each connection, told from then on. Without `presence` on the route nobody knows. */
const look = () => tidegate.presence("cards").then(count, () => {})
const count = ({ n_users: nUsers, n_anonymous: nAnonymous }) => panel.lookers(nUsers + nAnonymous)

const AGAIN_MS = 2000
let nLoads = 0

async function load() {
  const turn = ++nLoads
  try {
    const { cards, node, ports, may_kill: mayKill } = await tidegate.action({ name: "board" })
    if (turn !== nLoads)
      return // asked on a connection that is gone, and so of another node
    board.fill(cards)
    for (const port of ports) {
      const address = `ws://${location.hostname}:${port}/ws/cards`
      if (port === +location.port || addresses.includes(address))
        continue
      addresses.push(address)
      $("second").href = `http://${location.hostname}:${port}/demo`
    }
    panel.isOn(node, mayKill)
  } catch ({ code, message }) {
    if (turn !== nLoads)
      return
    board.isEmpty(code === "timeout" || code === "unsupported" ? "No worker answers: deploy/local.sh starts one." : message)
    if (code !== "closed" && code !== "unsupported")
      setTimeout(load, AGAIN_MS)
  }
}

$("me").textContent = me
paintFace($("my-face"), me)
tidegate.on("gap", () => {
  panel.lost()
  return load()
})
tidegate.on("card_updated", (card, event) => {
  if (!card?.version)
    return // somebody else's
  panel.heard(card.version, event)
  board.put(card)
  execution.follows(card)
})
tidegate.on("presence_changed", count)
tidegate.on("state", state => {
  panel.change(state)
  if (state.name !== "open")
    return
  load()
  look()
})
panel.change(tidegate.state)
Object.assign(window, { demo: { tidegate, board, cutter } }) // for the console

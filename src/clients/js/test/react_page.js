/** A page of React that uses the hooks, for a test to play with: see test_javascript_client.py. */

import { StrictMode, createElement } from "react"
import { createRoot } from "react-dom/client"
import { TidegateProvider, useChannel, useConnectionState } from "../react.js"
import { connect } from "../tidegate.js"

const said = []
/** A WebSocket that remembers what was said. */
class Remembering extends WebSocket {
  send(text) {
    said.push(JSON.parse(text))
    super.send(text)
  }
}
const client = connect(document.documentElement.dataset.address, { WebSocket: Remembering })
const root = createRoot(document.getElementById("root"))
const heard = []

function Lines({ channel, factor }) {
  useChannel(channel, "n", number => heard.push(number * factor))
  return null
}

const State = () => useConnectionState().name

/** channel undefined: nobody listens. */
function show(channel, factor = 1) {
  const lines = channel === undefined ? null : createElement(Lines, { channel, factor })
  root.render(createElement(StrictMode, null, createElement(TidegateProvider, { client }, createElement(State), lines)))
}

show()
Object.assign(window, { show, heard, said, client })

/** What the types have to take, and what they must refuse. Compiled by a test, never run. */
import { connect, type GapReason, type PresenceChange, type State, TidegateError } from "../tidegate.js"
import { useChannel } from "../react.js"
import { connect as connectEither } from "../sse.js"

const client = connect("/ws/cards", { token: async () => "jwt", storage: sessionStorage })
const off: () => void = client.on<{ id: number }>("card_updated", (card, event) => [card.id, event.channel])
client.on("state", (state: State) => state.name === "waiting" && state.ms)
client.on("gap", (reason: GapReason, channel: string) => [reason, channel])
client.on("error", error => error.code)
const subscription = client.subscribe("execution:42", { history: false })
subscription.on("log_line", async line => line.text)
subscription.unsubscribe()
client.subscribe("execution:43", { history: "all" })
connect(["/ws/cards", "wss://other.example/ws/cards"])
client.on<PresenceChange>("presence_changed", change => change.n_users + change.n_anonymous)
async function look() {
  const { users, n_anonymous } = await client.presence("cards")
  return (users?.length ?? 0) + n_anonymous
}
async function act() {
  const answer = await client.action<{ version: number }>({ name: "move" }, { key: "k", timeout: 1000 })
  for await (const part of client.action.parts<string>({ name: "run" }))
    part.length + answer.version
}
act().catch((error: TidegateError) => error.retryAfterMs)
look()
off()
const either = connectEither("/ws/cards", { sse: url => url.href.replace("/ws/", "/events/"), fetch, token: () => "jwt" })
either.on("state", ({ name }) => name)
// @ts-expect-error
connect("/ws/cards", { sse: (url: URL) => url })
// @ts-expect-error a token is asked for, not handed over: it would expire
connect("/ws/cards", { token: "jwt" })
// @ts-expect-error
client.subscribe(42)

function Cards() {
  useChannel<{ id: number }>(null, "card_updated", (card, event) => [card.id, event.channel])
  useChannel("execution:42", "gap", (reason: GapReason, channel: string) => [reason, channel])
  useChannel("execution:42", "retracted", (count, channel) => channel.repeat(count))
  useChannel("execution:42", "error", (error, channel) => error.code + channel)
  // @ts-expect-error
  useChannel(42, "card_updated", () => {})
}
Cards()

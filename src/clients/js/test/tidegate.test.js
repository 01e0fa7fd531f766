import assert from "node:assert/strict"
import { afterEach, beforeEach, describe, test } from "node:test"

import { Socket, settle, world } from "./world.js"

const { connect, TidegateError } = await import("../tidegate.js")

let client, states
const event = (channel, number, pos) => ({ type: "n", data: number, channel, ...(pos && { pos }) })
const subscribed = (channel, more = {}) => ({ type: "subscribed", data: { channel, recoverable: true, recovered: true, ...more } })

function begin(options = {}, url = "ws://example.com/ws/cards") {
  client = connect(url, options)
  states = []
  client.on("state", state => states.push(state))
  return client
}

async function open(options, url) {
  begin(options, url)
  await settle()
  await world.socket.opens()
  return world.socket
}

const heardBy = (target, type = "n") => {
  const heard = []
  target.on(type, data => heard.push(data))
  return heard
}

beforeEach(() => world.reset())
afterEach(() => {
  client.close()
  assert.equal(world.timers, 0, "nothing runs on behind a client that is closed")
})

describe("the connection", () => {
  test("says that it knows recovery, and from where", async () => {
    const socket = await open()
    assert.deepEqual(socket.protocols, ["tidegate.v1"])
    assert.equal(socket.url.href, "ws://example.com/ws/cards?since=now")
    assert.equal(client.state.name, "open")
  })

  test("an address of HTTP is one of a WebSocket, and what is none is refused at once", async () => {
    assert.equal((await open({}, "https://example.com/ws/cards?a=b")).url.href, "wss://example.com/ws/cards?a=b&since=now")
    assert.throws(() => connect("no address"), TypeError)
  })

  test("a broken one is tried again, each time after a longer wait, up to half a minute", async () => {
    begin()
    await settle()
    const waits = []
    for (let i = 0; i < 9; i++) {
      await world.socket.closes(1006)
      waits.push(client.state.ms)
      await world.passes(client.state.ms)
    }
    assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000])
    assert.equal(world.sockets.length, 10)
  })

  test("an answer of the gateway ends the growth of the wait, and an open socket alone does not", async () => {
    let socket = await open()
    await socket.closes(1006)
    await world.passes(500)
    await world.socket.opens()
    await world.socket.closes(1006)
    assert.equal(client.state.ms, 1000)
    await world.passes(1000)
    await world.socket.opens()
    await world.socket.says(subscribed("cards"))
    await world.socket.closes(1006)
    assert.equal(client.state.ms, 500)
  })

  test("one that never opens is given up", async () => {
    begin()
    await settle()
    await world.passes(15000)
    assert.equal(client.state.name, "waiting")
    assert.ok(world.sockets[0].isClosed)
  })

  const rows = [
    // code, state, the least wait
    [1001, "waiting", 0], [1005, "waiting", 0], [1006, "waiting", 0], [1011, "waiting", 0], [1012, "waiting", 0],
    [1013, "waiting", 5000], [1015, "waiting", 0], [4100, "waiting", 0], [4101, "waiting", 30000], [4200, "waiting", 0],
    [1002, "closed"], [1003, "closed"], [1007, "closed"], [1008, "closed"], [1009, "closed"],
    [4000, "closed"], [4001, "closed"], [4003, "closed"], [4010, "closed"], [4099, "closed"],
  ]
  for (const [code, name, leastMs] of rows)
    test(`close code ${code}: ${name}`, async () => {
      const socket = await open()
      await socket.closes(code, "why")
      assert.equal(client.state.name, name)
      assert.equal(client.state.code, code)
      assert.equal(client.state.reason, "why")
      if (leastMs !== undefined)
        assert.equal(client.state.ms, leastMs + 500)
    })

  test("comes back when the gateway said so, and not before", async () => {
    const socket = await open()
    await socket.says({ type: "reconnect", data: { reason: "drain", after_ms: 4200 } })
    await socket.closes(1012)
    assert.equal(client.state.ms, 4200)
    await world.passes(4199)
    assert.equal(world.sockets.length, 1)
    await world.passes(1)
    assert.equal(world.sockets.length, 2)
    await world.socket.closes(1006)
    assert.ok(client.state.ms <= 1000, "the hint was for one time")
  })

  test("degraded and restored are states of it", async () => {
    const socket = await open()
    await socket.says({ type: "degraded", data: { reason: "upstream" } })
    assert.equal(client.state.name, "degraded")
    await socket.says({ type: "restored" })
    assert.equal(client.state.name, "open")
  })

  test("degraded of some channels names them until all are restored", async () => {
    const socket = await open()
    await socket.says(subscribed("cards"))
    await socket.says({ type: "degraded", data: { reason: "upstream", channel: "cards" } })
    assert.deepEqual(client.state, { name: "degraded", channels: ["cards"] })
    const items = client.subscribe("items")
    await socket.says({ type: "degraded", data: { reason: "upstream", channel: "items" } })
    await socket.says({ type: "restored", data: { channel: "cards" } })
    assert.deepEqual(client.state, { name: "degraded", channels: ["items"] })
    items.unsubscribe() // of that one nobody will say that it is back
    assert.deepEqual(client.state, { name: "open" })
    await socket.says({ type: "degraded", data: { reason: "upstream", channel: "cards" } })
    await socket.says({ type: "degraded", data: { reason: "upstream" } })
    assert.deepEqual(client.state, { name: "degraded" })
    await socket.closes(1006)
    await world.passes(500)
    await world.socket.opens()
    assert.deepEqual(client.state, { name: "open" }, "what an older connection was told is over")
  })

  test("silence is asked about, and no answer is the end of it", async () => {
    const socket = await open()
    await world.passes(25000)
    assert.deepEqual(socket.heard("ping"), [{ type: "ping" }])
    await socket.says({ type: "pong" })
    await world.passes(25000)
    await world.passes(10000)
    assert.ok(socket.isClosed)
    assert.equal(world.sockets.length, 2, "a new one at once")
  })

  test("silence that is noticed late, after a sleep, is asked about once more", async () => {
    const socket = await open()
    await world.passes(25000)
    socket.heard("ping")
    await world.sleeps(60000)
    assert.ok(!socket.isClosed, "the answer may lie there unread")
    assert.deepEqual(socket.heard("ping"), [{ type: "ping" }])
    await socket.says({ type: "pong" })
    await world.passes(20000)
    assert.equal(world.sockets.length, 1)
    await world.passes(5000)
    await world.sleeps(60000)
    await world.sleeps(60000)
    assert.ok(socket.isClosed, "but not for ever")
  })

  test("several addresses: each connection takes the next, with its positions", async () => {
    const addresses = ["ws://one.example/ws/cards"]
    const socket = await open({}, addresses)
    addresses.push("https://two.example/ws/cards")
    await socket.says(event("cards", 1, "e.1.1"))
    const hosts = []
    for (let i = 0; i < 3; i++) {
      await world.socket.closes(1006)
      await world.passes(client.state.ms)
      hosts.push(world.socket.url.host)
      assert.deepEqual(world.socket.url.searchParams.getAll("since"), ["e.1.1"])
    }
    assert.deepEqual(hosts, ["two.example", "one.example", "two.example"])
  })

  test("a socket that could not be opened, and tells of an error alone, is tried anew as after a close", async () => {
    begin()
    await settle()
    for (const ms of [500, 1000, 2000]) {
      const { socket } = world
      await socket.fails()
      await socket.fails()
      assert.deepEqual([client.state.name, client.state.ms, socket.isClosed], ["waiting", ms, true])
      await world.passes(ms)
    }
    assert.equal(world.sockets.length, 4)
  })

  test("an error of an open socket changes nothing: the close behind it does", async () => {
    const socket = await open()
    socket.onerror(new Event("error"))
    assert.equal(client.state.name, "open")
    await socket.closes(1006)
    assert.equal(client.state.name, "waiting")
  })

  test("what an old socket says late is not heard", async () => {
    const socket = await open()
    const heard = heardBy(client)
    await world.passes(35000)
    assert.equal(world.sockets.length, 2)
    await socket.says(event("cards", 1))
    await socket.closes(4010)
    assert.deepEqual(heard, [])
    assert.equal(client.state.name, "connecting")
  })

  test("close ends it for good", async () => {
    const socket = await open()
    client.close()
    assert.ok(socket.isClosed)
    assert.deepEqual(client.state, { name: "closed", code: 1000, reason: "" })
    await world.passes(100000)
    assert.equal(world.sockets.length, 1)
  })

  test("close while the token is fetched opens nothing", async () => {
    let give
    begin({ token: () => new Promise(resolve => (give = resolve)) })
    await settle()
    client.close()
    give("late")
    await settle()
    assert.equal(world.sockets.length, 0)
  })
})

describe("what is heard", () => {
  test("a listener of all types hears an event once, whatever its type is called", async () => {
    const socket = await open()
    const heard = heardBy(client, "*")
    await socket.says({ type: "*", data: 1, channel: "cards" }, { type: "__proto__", data: 2, channel: "cards" })
    assert.deepEqual(heard, [1, 2])
  })

  test("what is no address of a WebSocket is refused at once", () => {
    for (const url of ["ftp://example.com/ws", "mailto:a@example.com", "//", "nothing", undefined, null, 7])
      assert.throws(() => connect(url), TypeError)
  })
})

describe("the page", () => {
  test("a page that is shown tries at once", async () => {
    const socket = await open()
    world.show(false)
    await socket.closes(1006)
    assert.equal(client.state.ms, 15500, "a hidden one takes its time")
    world.show(true)
    await settle()
    assert.equal(world.sockets.length, 2)
  })

  test("a page that is online again tries at once", async () => {
    const socket = await open()
    await socket.closes(1006)
    world.online()
    await settle()
    assert.equal(world.sockets.length, 2)
  })

  test("without a network it tries once a minute until there is one, and then at once", async () => {
    const socket = await open()
    world.offline()
    await socket.closes(1006)
    for (const tries of [1, 2]) {
      assert.deepEqual([client.state.name, client.state.isOffline, client.state.ms], ["waiting", true, 60000])
      await world.passes(59999)
      assert.equal(world.sockets.length, tries)
      await world.passes(1)
      assert.equal(world.sockets.length, tries + 1)
      await world.socket.closes(1006)
    }
    world.online()
    await settle()
    assert.equal(world.sockets.length, 4)
  })

  test("a browser that is wrong about the network from the beginning holds nobody up for ever", async () => {
    world.offline()
    client = connect("wss://example.com/ws/cards")
    await settle()
    await world.socket.closes(1006)
    await world.passes(60000)
    await world.socket.opens()
    assert.equal(client.state.name, "open")
    await world.socket.closes(1006)
    assert.ok(client.state.ms < 60000, "it is not believed any more")
  })

  test("a browser that is wrong about the network holds nobody up", async () => {
    world.offline()
    const socket = await open()
    await socket.closes(1006)
    await world.passes(client.state.ms)
    assert.equal(world.sockets.length, 2)
  })

  test("a page that was frozen finds out in 5 s that its socket is dead", async () => {
    const socket = await open()
    document.fire("resume")
    await world.passes(0)
    assert.deepEqual(socket.heard("ping"), [{ type: "ping" }])
    await world.passes(4999)
    assert.equal(world.sockets.length, 1)
    await world.passes(1)
    assert.equal(world.sockets.length, 2)
  })

  test("a page that was frozen keeps a socket that answers", async () => {
    const socket = await open()
    document.fire("resume")
    await world.passes(10)
    await socket.says({ type: "pong" })
    await world.passes(20000)
    assert.equal(world.sockets.length, 1)
  })

  test("a page that is put aside has no socket, and has one again when it comes back", async () => {
    const socket = await open()
    window.fire("pagehide")
    assert.ok(socket.isClosed)
    await world.passes(100000)
    assert.equal(world.sockets.length, 1)
    window.fire("pageshow", { persisted: true })
    await settle()
    assert.equal(world.sockets.length, 2)
  })
})

describe("the token", () => {
  test("goes by subprotocol, never in the URL, fresh for each connection", async () => {
    let n = 0
    const socket = await open({ token: async () => `jwt${++n}\n` })
    assert.deepEqual(socket.protocols, ["tidegate.v1", "tidegate.bearer.jwt1"])
    assert.ok(!socket.url.href.includes("jwt1"))
    await socket.closes(4001, "token_expired")
    await world.passes(500)
    assert.deepEqual(world.socket.protocols[1], "tidegate.bearer.jwt2")
  })

  test("that is refused again and again is not tried for ever", async () => {
    begin({ token: () => "jwt" })
    await settle()
    for (let i = 0; i < 2; i++) {
      await world.socket.closes(4001, "token_invalid")
      assert.equal(client.state.name, "waiting")
      await world.passes(client.state.ms)
    }
    await world.socket.closes(4001, "token_invalid")
    assert.equal(client.state.name, "closed")
  })

  test("that cannot be fetched is asked for again", async () => {
    let fails = true
    begin({ token: async () => { if (fails) throw new Error("no network"); return "jwt" } })
    await settle()
    assert.equal(client.state.name, "waiting")
    assert.equal(client.state.error.message, "no network")
    fails = false
    await world.passes(500)
    assert.equal(world.sockets.length, 1)
  })

  test("that no socket takes is told, and nothing is thrown at nobody", async () => {
    begin({ token: () => "two words" })
    await settle()
    assert.ok(client.state.error instanceof SyntaxError)
  })

  for (const type of ["token_expiring", "refresh"])
    test(`${type}: a fresh one goes over the connection that is open`, async () => {
      let n = 0
      const socket = await open({ token: () => `jwt${++n}` })
      await socket.says({ type, data: { expires_in_ms: 60000 } })
      assert.deepEqual(socket.heard("auth"), [{ type: "auth", data: { token: "jwt2" } }])
    })
})

describe("a token that never comes", () => {
  test("is given up and asked for again", async () => {
    let asked = 0
    begin({ token: () => { asked++; return new Promise(() => {}) } })
    await world.passes(14999)
    assert.equal(client.state.name, "connecting")
    await world.passes(1)
    assert.deepEqual([client.state.name, client.state.reason, asked], ["waiting", "no token", 1])
    await world.passes(500)
    assert.equal(asked, 2)
    assert.equal(world.sockets.length, 0)
  })

  test("and comes after all opens nothing any more", async () => {
    let come
    begin({ token: () => new Promise(resolve => (come ??= resolve)) })
    await world.passes(15500)
    come("late")
    await settle()
    assert.equal(world.sockets.length, 0)
  })

  test("leaves the connection that is open as it is", async () => {
    let asked = 0
    const socket = await open({ token: () => asked++ ? new Promise(() => {}) : "first" })
    await socket.says({ type: "refresh" })
    await world.passes(20000)
    assert.equal(asked, 2)
    assert.equal(client.state.name, "open")
    assert.deepEqual(socket.heard("auth"), [])
  })
})

describe("the endpoint's channels", () => {
  test("their events are heard by type, and by *", async () => {
    const socket = await open()
    const types = []
    client.on("*", (data, whole) => types.push(whole.type))
    const cards = heardBy(client, "card_updated")
    await socket.says({ type: "card_updated", data: { id: 7 }, channel: "cards" }, event("cards", 1))
    assert.deepEqual(cards, [{ id: 7 }])
    assert.deepEqual(types, ["card_updated", "n"])
  })

  test("an event whose type is a word of the gateway is an event", async () => {
    const socket = await open()
    const heard = heardBy(client, "subscribed")
    await socket.says({ type: "subscribed", data: 1, channel: "cards" })
    assert.deepEqual(heard, [1])
    assert.equal(client.state.name, "open")
  })

  test("the state is to be loaded the first time, and then only where events are missing", async () => {
    const socket = await open()
    const gaps = heardBy(client, "gap")
    await socket.says(subscribed("cards", { pos: "e.5.50" }))
    assert.deepEqual(gaps, ["first"])
    await socket.says(event("cards", 6, "e.6.60"))
    await socket.closes(1006)
    await world.passes(500)
    assert.deepEqual(world.socket.url.searchParams.getAll("since"), ["e.6.60"])
    await world.socket.opens()
    await world.socket.says(subscribed("cards", { pos: "e.6.60", count: 0 }))
    assert.deepEqual(gaps, ["first"])
    await world.socket.closes(1006)
    await world.passes(500)
    await world.socket.opens()
    await world.socket.says(subscribed("cards", { pos: "f.1.10", recovered: false, reason: "epoch" }))
    assert.deepEqual(gaps, ["first", "epoch"])
  })

  test("without a history every new connection has a gap", async () => {
    const socket = await open()
    const gaps = heardBy(client, "gap")
    await socket.says(subscribed("cards", { recoverable: false, recovered: undefined }))
    await socket.closes(1006)
    await world.passes(500)
    assert.deepEqual(world.socket.url.searchParams.getAll("since"), ["now"])
    await world.socket.opens()
    await world.socket.says(subscribed("cards", { recoverable: false, recovered: undefined }))
    assert.deepEqual(gaps, ["first", "none"])
  })

  test("several go on each from its own position", async () => {
    const socket = await open()
    await socket.says(subscribed("cards", { pos: "e.1.1" }), subscribed("user:7", { pos: "f.2.2" }))
    await socket.closes(1006)
    await world.passes(500)
    assert.deepEqual(world.socket.url.searchParams.getAll("since"), ["e.1.1", "f.2.2"])
  })

  test("what was heard already is not heard again", async () => {
    const socket = await open()
    const heard = heardBy(client)
    await socket.says(event("cards", 1, "e.1.10"), event("cards", 2, "e.2.20"), event("cards", 2, "e.2.20"), event("cards", 1, "e.1.10"))
    await socket.says(event("cards", 3, "f.1.30"))
    assert.deepEqual(heard, [1, 2, 3])
  })

  test("a fork is told as retracted, and the other branch is heard", async () => {
    const socket = await open()
    const heard = heardBy(client)
    const retracted = heardBy(client, "retracted"), gaps = heardBy(client, "gap")
    await socket.says(subscribed("cards", { pos: "e.0.0" }), event("cards", 1, "e.1.10"), event("cards", 2, "e.2.20"))
    await socket.says({ type: "resync", data: { channel: "cards", continuous: true, retracted: 1, pos: "e.1.10" } }, event("cards", 3, "e.2.25"))
    assert.deepEqual(heard, [1, 2, 3])
    assert.deepEqual(retracted, [1])
    assert.deepEqual(gaps, ["first"])
  })

  test("a resync that is not continuous is a gap with its reason", async () => {
    const socket = await open()
    const gaps = heardBy(client, "gap")
    await socket.says(subscribed("cards", { pos: "e.1.10" }))
    await socket.says({ type: "resync", data: { channel: "cards", continuous: false, reason: "away", pos: "e.9.90" } })
    assert.deepEqual(gaps, ["first", "away"])
  })

  test("one thing after the other, also where listeners take their time", async () => {
    const socket = await open()
    const order = []
    let done
    client.on("n", async number => {
      order.push(`begins ${number}`)
      if (number === 1)
        await new Promise(resolve => (done = resolve))
      order.push(`ends ${number}`)
    })
    client.on("gap", reason => order.push(reason))
    await socket.says(event("cards", 1, "e.1.1"), event("cards", 2, "e.2.2"))
    await socket.says({ type: "resync", data: { channel: "cards", continuous: false, reason: "fork", pos: "e.2.2" } })
    assert.deepEqual(order, ["begins 1"])
    done()
    await settle()
    assert.deepEqual(order, ["begins 1", "ends 1", "begins 2", "ends 2", "first"])
  })

  test("a listener that throws, or fails later, is reported and holds nobody up", async () => {
    const socket = await open()
    client.on("n", () => { throw new Error("now") })
    client.on("n", async () => { throw new Error("later") })
    const heard = heardBy(client)
    await socket.says(event("cards", 1), event("cards", 2))
    assert.deepEqual(heard, [1, 2])
    assert.deepEqual(world.reported.map(({ message }) => message).sort(), ["later", "later", "now", "now"])
  })

  test("a listener that was taken away hears nothing more", async () => {
    const socket = await open()
    const heard = []
    const off = client.on("n", number => heard.push(number))
    await socket.says(event("cards", 1))
    off()
    await socket.says(event("cards", 2))
    assert.deepEqual(heard, [1])
  })
})

describe("the storage", () => {
  const makeStorage = () => {
    const map = new Map()
    return { map, getItem: key => map.get(key) ?? null, setItem: (key, value) => map.set(key, value) }
  }

  test("a reload of the page goes on behind the last event that was dealt with", async () => {
    const storage = makeStorage()
    const socket = await open({ storage })
    let done
    client.on("n", number => number === 2 && new Promise(resolve => (done = resolve)))
    await socket.says(subscribed("cards", { pos: "e.0.0" }), event("cards", 1, "e.1.1"), event("cards", 2, "e.2.2"))
    client.close()
    const again = await open({ storage })
    assert.deepEqual(again.url.searchParams.getAll("since"), ["e.1.1"])
    done()
  })

  test("a storage that is shut, full or somebody else's costs the positions and nothing more", async () => {
    const socket = await open({ storage: { getItem: () => "}", setItem() { throw new Error("full") } } })
    const heard = heardBy(client)
    await socket.says(event("cards", 1, "e.1.1"))
    assert.deepEqual(heard, [1])
  })

  test("a storage may have any JSON under our key", async () => {
    for (const text of ["null", "7", "true", '"text"', "[1]", '{"cards":null,"other":{"position":7}}', '{"cards":"e.1.1"}']) {
      const kept = []
      const socket = await open({ storage: { getItem: () => text, setItem: (_, value) => kept.push(JSON.parse(value)) } })
      const heard = heardBy(client)
      assert.equal(socket.url.search, "?since=now")
      await socket.says(subscribed("cards", { pos: "e.1.1" }), event("cards", 2, "e.2.1"))
      assert.deepEqual(heard, [2])
      assert.deepEqual(kept.at(-1), { cards: { position: "e.2.1", isEndpoint: true } })
      client.close()
    }
  })
})

describe("a subscription", () => {
  test("is asked for, with its position after a broken connection", async () => {
    const socket = await open()
    const sub = client.subscribe("execution:42")
    const heard = heardBy(sub), gaps = heardBy(sub, "gap"), others = heardBy(client)
    assert.deepEqual(socket.heard(), [{ type: "subscribe", id: 1, data: { channel: "execution:42", recover: true } }])
    await socket.says({ ...subscribed("execution:42", { pos: "e.4.4" }), id: 1 }, event("execution:42", 5, "e.5.5"))
    assert.deepEqual(heard, [5])
    assert.deepEqual(gaps, ["first"])
    assert.deepEqual(others, [], "the endpoint's listeners hear the endpoint's channels")
    await socket.closes(1006)
    await world.passes(500)
    assert.deepEqual(world.socket.url.searchParams.getAll("since"), ["now"])
    await world.socket.opens()
    assert.deepEqual(world.socket.heard(), [{ type: "subscribe", id: 2, data: { channel: "execution:42", since: "e.5.5" } }])
  })

  test("whoever asks for gaps has a state to load, also where the channel was answered long ago", async () => {
    const socket = await open()
    const gaps = heardBy(client, "gap")
    await socket.says(subscribed("cards", { pos: "e.1.1" }))
    const late = heardBy(client, "gap"), gone = []
    client.on("gap", reason => gone.push(reason))()
    const sub = client.subscribe("items:1")
    await socket.says({ ...subscribed("items:1"), id: 1 })
    const lateOfSub = heardBy(sub, "gap")
    await settle()
    assert.deepEqual([gaps, late, gone, lateOfSub], [["first"], ["first"], [], ["first"]])
  })

  test("of a channel that is subscribed already shares it", async () => {
    const socket = await open()
    const first = client.subscribe("items:1"), second = client.subscribe("items:1")
    assert.equal(socket.heard().length, 1)
    const heard = [heardBy(first), heardBy(second)]
    await socket.says(event("items:1", 1))
    assert.deepEqual(heard, [[1], [1]])
    first.unsubscribe()
    first.unsubscribe()
    assert.deepEqual(socket.heard(), [])
    await socket.says(event("items:1", 2))
    assert.deepEqual(heard, [[1], [1, 2]])
    second.unsubscribe()
    assert.deepEqual(socket.heard().map(({ type }) => type), ["unsubscribe"])
  })

  test("that was given up hears nothing that was on its way, and nobody else does", async () => {
    const socket = await open()
    const sub = client.subscribe("items:1")
    const heard = heardBy(sub), others = heardBy(client)
    sub.unsubscribe()
    await socket.says(event("items:1", 1))
    assert.deepEqual([heard, others], [[], []])
  })

  test("made before the connection is open is asked for when it is", async () => {
    begin()
    client.subscribe("items:1", { history: false })
    await settle()
    await world.socket.opens()
    assert.deepEqual(world.socket.heard(), [{ type: "subscribe", id: 1, data: { channel: "items:1" } }])
  })

  test("that cannot be had now is asked for again, and one that is forbidden is not", async () => {
    const socket = await open()
    const sub = client.subscribe("items:1"), errors = heardBy(sub, "error")
    socket.heard()
    await socket.says({ type: "error", id: 1, data: { code: "unavailable", channel: "items:1", retry_after_ms: 1700 } })
    await world.passes(1700)
    assert.equal(socket.heard()[0].type, "subscribe")
    assert.deepEqual(errors, [])
    await socket.says({ type: "error", id: 2, data: { code: "forbidden", channel: "items:1", message: "no" } })
    await world.passes(10000)
    assert.deepEqual(socket.heard(), [])
    assert.ok(errors[0] instanceof TidegateError)
    assert.equal(errors[0].code, "forbidden")
  })

  test("a thousand of them keep the pace that a gateway takes", async () => {
    const socket = await open()
    for (let i = 0; i < 300; i++)
      client.subscribe(`items:${i}`)
    assert.equal(socket.heard().length, 100)
    await world.passes(1000)
    const second = socket.heard().length
    assert.ok(second >= 38 && second <= 41, `${second} in the next second`)
    await world.passes(10000)
    assert.equal(socket.heard().length, 200 - second)
  })

  test("of a channel that is answered already is told to load its state, and nobody else again", async () => {
    const socket = await open()
    const first = client.subscribe("items:1")
    const gaps = [heardBy(first, "gap")]
    await socket.says({ ...subscribed("items:1", { pos: "e.1.1" }), id: 1 })
    gaps.push(heardBy(client.subscribe("items:1"), "gap"))
    await socket.says(event("items:1", 2, "e.2.2"))
    assert.deepEqual(gaps, [["first"], ["first"]])
    await socket.says(subscribed("cards"))
    gaps.push(heardBy(client.subscribe("cards"), "gap"))
    await settle()
    assert.deepEqual(gaps[2], ["first"], "of one that the path joined, too")
  })

  test("that was given up and is made again knows nothing of the old one", async () => {
    const map = new Map()
    const storage = { getItem: key => map.get(key) ?? null, setItem: (key, value) => map.set(key, value) }
    const socket = await open({ storage })
    const first = client.subscribe("items:1")
    await socket.says({ ...subscribed("items:1", { pos: "e.1.1" }), id: 1 }, event("items:1", 2, "e.2.2"))
    assert.ok(map.values().next().value.includes("e.2.2"))
    first.unsubscribe()
    await socket.says(event("items:1", 3, "e.3.3"))
    assert.ok(!map.values().next().value.includes("items:1"), "nor does the next page")
    socket.heard()
    const second = client.subscribe("items:1"), gaps = heardBy(second, "gap"), heard = heardBy(second)
    assert.deepEqual(socket.heard(), [{ type: "subscribe", id: 3, data: { channel: "items:1", recover: true } }])
    await socket.says({ type: "unsubscribed", id: 2, data: { channel: "items:1" } }, { ...subscribed("items:1", { pos: "e.5.5" }), id: 3 },
      event("items:1", 6, "e.6.6"))
    assert.deepEqual([gaps, heard], [["first"], [6]])
  })

  test("of all that is kept begins there, and is told only what is missing", async () => {
    const socket = await open()
    const gaps = heardBy(client.subscribe("items:1", { history: "all" }), "gap")
    assert.deepEqual(socket.heard(), [{ type: "subscribe", id: 1, data: { channel: "items:1", since: "start" } }])
    await socket.says({ ...subscribed("items:1", { pos: "e.0.0" }), id: 1 }, event("items:1", 1, "e.1.1"))
    assert.deepEqual(gaps, [])
    const others = heardBy(client.subscribe("items:2", { history: "all" }), "gap")
    await socket.says({ ...subscribed("items:2", { recovered: false, reason: "limit", pos: "e.9.9" }), id: 2 })
    assert.deepEqual(others, ["limit"])
  })

  test("goes on from the gateway's word where that is newer, and never behind what was heard", async () => {
    const socket = await open()
    client.subscribe("items:1")
    await socket.says({ ...subscribed("items:1", { pos: "e.7.7" }), id: 1 })
    socket.heard()
    const asks = async () => {
      await world.socket.closes(1006)
      await world.passes(500)
      await world.socket.opens()
      const [{ id, data: { since } }] = world.socket.heard()
      return { id, since }
    }
    let { id, since } = await asks()
    assert.equal(since, "e.7.7", "of an answer without events")
    await world.socket.says(event("items:1", 9, "e.9.9"), { ...subscribed("items:1", { pos: "e.8.8" }), id })
    ;({ id, since } = await asks())
    assert.equal(since, "e.9.9", "an answer that was under way longer than an event")
    await world.socket.says({ ...subscribed("items:1", { recovered: false, reason: "epoch", pos: "f.1.1" }), id })
    ;({ since } = await asks())
    assert.equal(since, "f.1.1", "another log")
  })

  test("that a backend made or took away is heard by the endpoint's listeners", async () => {
    const socket = await open()
    const heard = heardBy(client), errors = heardBy(client, "error")
    await socket.says(subscribed("news"), event("news", 1), { type: "unsubscribed", data: { channel: "news" } })
    assert.deepEqual([heard, errors[0].code], [[1], "unsubscribed"])
    await socket.closes(1006)
    await world.passes(500)
    await world.socket.opens()
    assert.deepEqual(world.socket.heard(), [])
  })

  test("what was not read is said again when the gateway says so", async () => {
    const socket = await open()
    client.subscribe("items:1")
    client.subscribe("items:2")
    const said = socket.heard()
    await socket.says({ ...subscribed("items:1"), id: 1 }, { type: "error", data: { code: "rate", retry_after_ms: 700 } })
    await world.passes(699)
    assert.deepEqual(socket.heard(), [])
    await world.passes(1)
    assert.deepEqual(socket.heard(), [said[1]])
  })

  test("that is confirmed twice does not become one of the endpoint", async () => {
    const socket = await open()
    const [ofEndpoint, own] = [heardBy(client), heardBy(client.subscribe("items:1"))]
    await socket.says({ ...subscribed("items:1"), id: 1 }, { ...subscribed("items:1"), id: 1 }, event("items:1", 7))
    assert.deepEqual([ofEndpoint, own], [[], [7]])
  })

  test("a right that is lost is told", async () => {
    const socket = await open()
    const errors = heardBy(client.subscribe("items:1"), "error")
    await socket.says({ type: "unsubscribed", data: { channel: "items:1", reason: "forbidden" } })
    assert.equal(errors[0].code, "forbidden")
  })
})

describe("an action", () => {
  test("is answered", async () => {
    const socket = await open()
    const answer = client.action({ name: "move" }, { key: "k" })
    assert.deepEqual(socket.heard(), [{ type: "action", key: "k", data: { name: "move" }, id: 1 }])
    await socket.says({ type: "reply", id: 1, data: { version: 2 } })
    assert.deepEqual(await answer, { version: 2 })
  })

  test("that fails is rejected with the code", async () => {
    const socket = await open()
    const error = { name: "TidegateError", code: "busy", message: "full", retryAfterMs: 10 }
    const rejected = assert.rejects(client.action({ name: "move" }), error)
    await socket.says({ type: "error", id: 1, data: { code: "busy", message: "full", retry_after_ms: 10 } })
    await rejected
  })

  test("that was not answered is said again with its key on the next connection", async () => {
    const socket = await open()
    const answer = client.action({ name: "move" })
    const [said] = socket.heard()
    await socket.closes(1006)
    await world.passes(500)
    await world.socket.opens()
    assert.deepEqual(world.socket.heard(), [said])
    assert.ok(said.key.length <= 64)
    await world.socket.says({ type: "reply", id: said.id, data: 1 })
    assert.equal(await answer, 1)
  })

  test("that is no JSON is rejected, and the next connection is none the worse", async () => {
    const socket = await open()
    const cyclic = {}
    cyclic.self = cyclic
    await assert.rejects(client.action({ big: 1n }), TypeError)
    await assert.rejects(client.action(cyclic), TypeError)
    const answer = client.action({ name: "move" })
    const said = socket.heard()
    await socket.closes(1006)
    await world.passes(500)
    await world.socket.opens()
    assert.deepEqual(world.socket.heard(), said)
    await world.socket.says({ type: "reply", id: said[0].id, data: 1 })
    assert.equal(await answer, 1)
  })

  test("that waits for the pace is not said to a socket that is not open yet", async () => {
    const socket = await open()
    const answers = Promise.allSettled(Array.from({ length: 150 }, () => client.action({})))
    assert.equal(socket.heard().length, 100)
    client.action({}).catch(() => {})
    await socket.closes(1006)
    await world.passes(700)
    assert.notEqual(world.socket, socket)
    assert.deepEqual(world.socket.heard(), [])
    await world.socket.opens()
    assert.equal(world.socket.heard().length, 100)
    client.close()
    await answers
  })

  test("nobody waits for ever", async () => {
    await open()
    const answer = client.action({ name: "move" }, { timeout: 1000 })
    const rejected = assert.rejects(answer, { code: "timeout" })
    await world.passes(1000)
    await rejected
  })

  test("a client that is closed rejects what it waits for", async () => {
    await open()
    const answer = client.action({ name: "move" })
    client.close()
    await assert.rejects(answer, { code: "closed" })
  })

  test("a gateway that closes for good rejects them, and those that come after it", async () => {
    const socket = await open()
    const rejected = assert.rejects(client.action({ name: "move" }), { code: "closed", message: "token_revoked" })
    await socket.closes(4003, "token_revoked")
    await rejected
    await assert.rejects(client.action({ name: "move" }), { code: "closed" })
    await assert.rejects((async () => { for await (const part of client.action.parts({})) void part })(), { code: "closed" })
  })

  test("has a key of its own, also on a page that is not secure", async () => {
    const { randomUUID } = crypto
    try {
      Object.defineProperty(crypto, "randomUUID", { value: undefined, configurable: true })
      const socket = await open()
      const both = [client.action({}), client.action({})].map(one => one.catch(() => {}))
      const [first, second] = socket.heard().map(({ key }) => key)
      assert.match(first, /^[0-9a-f]{32}$/)
      assert.notEqual(first, second)
      client.close()
      await Promise.all(both)
    } finally {
      Object.defineProperty(crypto, "randomUUID", { value: randomUUID, configurable: true })
    }
  })

  test("in parts: each as it comes, and each renews the time", async () => {
    const socket = await open()
    const parts = []
    const all = (async () => { for await (const part of client.action.parts({ name: "run" }, { timeout: 1000 })) parts.push(part) })()
    await settle()
    for (let i = 0; i < 3; i++) {
      await world.passes(900)
      await socket.says({ type: "reply", id: 1, more: true, data: i })
      assert.equal(parts.length, i + 1)
    }
    await socket.says({ type: "reply", id: 1, data: "end" })
    await all
    assert.deepEqual(parts, [0, 1, 2, "end"])
  })

  test("in parts: what was heard before the connection broke is not heard again", async () => {
    const socket = await open()
    const parts = []
    const all = (async () => { for await (const part of client.action.parts({ name: "run" })) parts.push(part) })()
    const part = data => ({ type: "reply", id: 1, more: true, data })
    await settle()
    await socket.says(part(0), part(1))
    for (const n of [1, 3]) { // what breaks before all was repeated counts as well
      await world.socket.closes(1006)
      await world.passes(1000)
      await world.socket.opens()
      await world.socket.says(...[0, 1, 2].slice(0, n).map(part))
    }
    await world.socket.says({ type: "reply", id: 1, data: "end" })
    await all
    assert.deepEqual(parts, [0, 1, 2, "end"])
  })

  test("in parts: who leaves the loop waits for no more", async () => {
    const socket = await open()
    const all = (async () => { for await (const part of client.action.parts({ name: "run" })) return part })()
    await settle()
    await socket.says({ type: "reply", id: 1, more: true, data: 0 })
    assert.equal(await all, 0)
  })

  test("in parts: an error ends it", async () => {
    const socket = await open()
    const all = (async () => { for await (const part of client.action.parts({ name: "run" })) void part })()
    const rejected = assert.rejects(all, { code: "worker_failed" })
    await settle()
    await socket.says({ type: "reply", id: 1, more: true, data: 0 }, { type: "error", id: 1, data: { code: "worker_failed" } })
    await rejected
  })
})

describe("presence", () => {
  test("is asked for, also over a broken connection", async () => {
    const socket = await open()
    const answer = client.presence("cards")
    assert.deepEqual(socket.heard(), [{ type: "presence", id: 1, data: { channel: "cards" } }])
    await socket.closes(1006)
    await world.passes(500)
    await world.socket.opens()
    const data = { channel: "cards", n_users: 1, n_anonymous: 2, users: [{ user: "42" }] }
    await world.socket.says({ type: "presence", id: 1, data })
    assert.deepEqual(await answer, data)
  })

  test("that a route does not have is rejected, and so is that of a client that is closed", async () => {
    const socket = await open()
    const rejected = assert.rejects(client.presence("cards"), { code: "unsupported" })
    await socket.says({ type: "error", id: 1, data: { code: "unsupported", channel: "cards" } })
    await rejected
    client.close()
    await assert.rejects(client.presence("cards"), { code: "closed" })
  })

  test("changes are events of their channel", async () => {
    const socket = await open()
    const heard = heardBy(client, "presence_changed")
    const data = { joined: [{ user: "42", info: "Ada" }], left: [], n_users: 3, n_anonymous: 1 }
    await socket.says({ type: "presence_changed", data, channel: "cards" })
    assert.deepEqual(heard, [data])
  })
})

test("a WebSocket that is handed in is used", async () => {
  let used = 0
  class Other extends Socket { constructor(...all) { super(...all); used++ } }
  await open({ WebSocket: Other })
  assert.equal(used, 1)
})

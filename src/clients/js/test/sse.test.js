import assert from "node:assert/strict"
import { afterEach, beforeEach, describe, test } from "node:test"

import { settle, world } from "./world.js"
import { http } from "./http.js"

const { connect, TidegateError } = await import("../sse.js")

let client, states
const event = (channel, number, pos) => ({ type: "n", data: number, channel, ...(pos && { pos }) })
const subscribed = (channel, more = {}) => ({ type: "subscribed", data: { channel, recovered: true, ...more } })
const done = { type: "close", data: { code: 1000, reason: "" } }

function begin(options = {}, url = "https://example.com/app/ws/cards?a=b") {
  client = connect(url, { fetch: http.fetch, ...options })
  states = []
  client.on("state", ({ name }) => states.push(name))
}

async function fail(n) {
  for (let i = 0; i < n; i++) {
    await world.socket.closes(1006)
    await world.passes(client.state.ms)
  }
}

/** Where two sockets did not open: the stream, open. */
async function open(options, ...joins) {
  begin(options)
  await settle()
  await fail(2)
  await http.request.opens(...joins)
  return http.request
}

const heardBy = (target, type = "n") => {
  const heard = []
  target.on(type, data => heard.push(data))
  return heard
}

beforeEach(() => http.reset())
afterEach(async () => {
  client.close()
  await settle()
  assert.equal(world.timers, 0, "nothing runs on behind a client that is closed")
  assert.ok(http.requests.every(request => request.isOver), "and no request")
})

describe("which way", () => {
  test("a socket that opens is all there is", async () => {
    begin()
    await settle()
    await world.socket.opens()
    assert.equal(client.state.name, "open")
    assert.equal(http.requests.length, 0)
  })

  test("two sockets in a row that do not open, then the stream beside them", async () => {
    begin()
    await settle()
    await fail(1)
    assert.equal(http.requests.length, 0)
    await fail(1)
    assert.equal(world.sockets.length, 2)
    assert.equal(http.request.url.href, "https://example.com/app/sse/cards?a=b&since=now")
    assert.equal(http.request.credentials, "include")
    assert.equal(client.state.name, "connecting")
    await http.request.opens("cards")
    assert.equal(client.state.name, "open")
  })

  test("a socket that was open and breaks is no failure of sockets", async () => {
    begin()
    await settle()
    await fail(1)
    await world.socket.opens()
    await fail(2)
    assert.equal(http.requests.length, 0)
    await fail(1)
    assert.equal(http.requests.length, 1)
  })

  test("sockets that are never answered are no better, and a stream of which nothing comes is none", async () => {
    begin()
    await settle()
    for (let i = 0; i < 2; i++) {
      await world.passes(15000)
      world.socket.onclose ??= null
      await world.passes(client.state.ms)
    }
    assert.equal(http.requests.length, 1)
    await http.request.answers()
    assert.equal(client.state.name, "connecting", "a proxy may collect it")
    await world.passes(15000)
    assert.ok(http.request.isOver)
    await world.passes(client.state.ms)
    assert.deepEqual([world.sockets.length, http.requests.length], [3, 1], "a socket's turn")
  })

  test("sockets that tell of an error alone have failed, and once each", async () => {
    begin()
    await settle()
    await world.socket.fails()
    await world.passes(client.state.ms)
    assert.equal(http.requests.length, 0)
    await world.socket.fails()
    await world.passes(client.state.ms)
    assert.equal(http.requests.length, 1)
  })

  test("where both fail, they take turns, after the usual waits", async () => {
    begin()
    await settle()
    await fail(2)
    const waits = []
    for (let i = 0; i < 4; i++) {
      await (i % 2 ? world.socket.closes(1006) : http.request.fails())
      waits.push(client.state.ms)
      await world.passes(client.state.ms)
    }
    assert.deepEqual(waits, [2000, 4000, 8000, 16000])
    assert.deepEqual([world.sockets.length, http.requests.length], [4, 3])
  })

  test("a stream that breaks is followed by a stream, from where it was", async () => {
    const stream = await open({}, "cards")
    await stream.says(subscribed("cards", { pos: "E.1.T" }), event("cards", 1, "E.2.T"))
    await stream.ends()
    await world.passes(client.state.ms)
    assert.equal(http.requests.length, 2)
    assert.deepEqual(http.request.url.searchParams.getAll("since"), ["E.2.T"])
  })

  test("it looks for sockets after a minute, then after two, and goes over when one opens", async () => {
    const stream = await open({}, "cards")
    await stream.says(subscribed("cards", { pos: "E.1.T" }))
    const beats = async ms => {
      for (; ms > 0; ms -= 20000) {
        await world.passes(Math.min(ms, 20000))
        await stream.passes(":\n")
      }
    }
    await beats(60000)
    assert.equal(world.sockets.length, 3)
    await world.socket.closes(1006)
    assert.equal(client.state.name, "open")
    await beats(119000)
    assert.equal(world.sockets.length, 3)
    await beats(1000)
    assert.equal(world.sockets.length, 4)
    await beats(15000)
    assert.ok(world.socket.isClosed, "one that is not answered is given up")
    await world.socket.closes(1006)
    await beats(240000)
    await world.socket.opens()
    assert.ok(stream.isOver && world.socket.isClosed)
    await world.passes(0)
    await world.socket.opens()
    assert.deepEqual([world.sockets.length, client.state.name], [6, "open"])
    assert.deepEqual(world.socket.url.searchParams.getAll("since"), ["E.1.T"])
    assert.equal(http.requests.length, 1)
  })

  test("a client that is closed while it looks for a socket looks for none any more", async () => {
    await open({}, "cards")
    await world.passes(50000)
    await http.request.passes(":\n")
    await world.passes(10000)
    const probe = world.socket
    assert.equal(world.sockets.length, 3)
    client.close()
    await settle()
    assert.ok(probe.isClosed)
    await probe.closes(1006)
    await world.passes(3600000)
    assert.equal(world.sockets.length, 3)
  })

  test("a socket that it looks for comes with a fresh token, and asks for nothing that was missed", async () => {
    let n = 0
    const stream = await open({ token: () => `token-${++n}` }, "cards")
    await stream.says(subscribed("cards", { pos: "E.1.T" }))
    await world.passes(50000)
    await stream.passes(":\n")
    await world.passes(10000)
    assert.equal(world.sockets.length, 3)
    assert.deepEqual(world.socket.protocols, ["tidegate.v1", "tidegate.bearer.token-4"])
    assert.equal(world.socket.url.searchParams.has("since"), false)
    assert.equal(world.socket.url.searchParams.get("a"), "b")
  })

  test("without a token to be had it looks for a socket later, and the stream goes on", async () => {
    const ways = [[() => Promise.reject(new Error("no")), 0], [() => "no legal name", 0], [() => new Promise(() => {}), 15000]]
    for (const [last, givenUpMs] of ways) {
      http.reset()
      let n = 0
      const stream = await open({ token: () => (++n < 4 ? `token-${n}` : n === 4 ? last() : "fresh") }, "cards")
      for (let ms = 0; ms < 60000 + givenUpMs + 120000; ms += 15000) {
        assert.equal(world.sockets.length, 2)
        await world.passes(15000)
        await stream.passes(":\n")
      }
      assert.deepEqual([world.sockets.length, client.state.name], [3, "open"])
      assert.deepEqual(world.socket.protocols, ["tidegate.v1", "tidegate.bearer.fresh"])
      client.close()
    }
  })

  test("a token that comes when the stream is over opens nothing", async () => {
    let give, n = 0
    const stream = await open({ token: () => (++n === 4 ? new Promise(resolve => (give = resolve)) : `token-${n}`) }, "cards")
    await world.passes(50000)
    await stream.passes(":\n")
    await world.passes(10000)
    client.close()
    give("late")
    await settle()
    assert.equal(world.sockets.length, 2)
  })

  test("one stream behind the other looks for sockets once, not each for itself", async () => {
    const stream = await open({}, "cards")
    await world.passes(50000)
    await stream.passes(":\n")
    await world.passes(10000)
    const probe = world.socket
    await stream.ends()
    await world.passes(client.state.ms)
    const next = http.request
    await next.opens("cards")
    await world.passes(30000)
    await next.passes(":\n")
    await probe.closes(1006)
    for (let s = 30; s < 300; s += 30) {
      await world.passes(30000)
      await next.passes(":\n")
      if (s === 120)
        await world.socket.closes(1006)
    }
    assert.equal(world.sockets.length, 4, "after two minutes, and then after four")
  })

  test("where the runtime has no WebSocket, streams are all there is", async () => {
    begin({ WebSocket: undefined })
    await settle()
    await http.request.opens("cards")
    assert.deepEqual([client.state.name, world.sockets.length], ["open", 0])
    for (let ms = 0; ms < 300000; ms += 50000) {
      await world.passes(50000)
      await http.request.passes(":\n")
    }
    assert.equal(client.state.name, "open")
  })

  test("another path, if the page knows it", async () => {
    await open({ sse: url => url.href.replace("/app/ws/cards", "/events") })
    assert.equal(http.request.url.pathname, "/events")
  })
})

describe("hearing", () => {
  test("events come as on a socket, however the bytes are cut", async () => {
    const stream = await open({}, "cards")
    const heard = heardBy(client)
    await stream.passes("retry: 7\n:\n\nid: E.0.T\n\n")
    const text = `id: E.1.T\ndata: ${JSON.stringify({ pos: "E.1.T", channel: "cards", type: "n", data: "ä\u2028🌊" })}\n\n`
    const bytes = new TextEncoder().encode(text)
    await stream.passes(bytes.slice(0, -1 - 20)) // in the middle of a character, where chance wants it
    assert.deepEqual(heard, [])
    for (const byte of bytes.slice(-21))
      await stream.passes(Uint8Array.of(byte))
    assert.deepEqual(heard, ["ä\u2028🌊"])
  })

  test("what was cut off is nothing", async () => {
    const stream = await open({}, "cards")
    const heard = heardBy(client)
    await stream.passes(`data: ${JSON.stringify(event("cards", 1))}\n`)
    await stream.ends()
    assert.deepEqual(heard, [])
    assert.equal(client.state.name, "waiting")
  })

  test("the last message closes with its code", async () => {
    const stream = await open({}, "cards")
    await stream.says({ type: "reconnect", data: { after_ms: 77 } }, { type: "close", data: { code: 1012, reason: "restart" } })
    assert.deepEqual([client.state.name, client.state.ms], ["waiting", 77])
    await world.passes(77)
    await http.request.opens("cards")
    await http.request.says({ type: "close", data: { code: 4010, reason: "out" } })
    assert.deepEqual(client.state, { name: "closed", code: 4010, reason: "out" })
  })

  test("silence for twice the time of a sign of life breaks it, and a sign of life does not", async () => {
    const stream = await open({}, "cards")
    for (let i = 0; i < 5; i++) {
      await world.passes(50000)
      await stream.passes(":\n")
    }
    assert.equal(client.state.name, "open")
    assert.equal(http.requests.length, 1, "and while it gives signs, nothing is asked")
    await world.passes(55000)
    assert.ok(stream.isOver)
  })

  test("a page that wakes up finds out that its stream is dead", async () => {
    const stream = await open({}, "cards")
    world.show(true)
    await world.passes(0)
    assert.equal(http.requests.length, 1, "not if the stream gave a sign a moment ago")
    await world.sleeps(54000) // all timers but the one that watches the stream
    world.show(true)
    await world.passes(1)
    assert.equal(http.requests.length, 1)
    await world.sleeps(600000)
    assert.ok(stream.isOver, "it was silent for too long")
  })

  test("a refusal counts as the close code of a socket", async () => {
    for (const [status, code, closes] of [[401, "token_missing", 4001], [403, "forbidden", 4003]]) {
      http.reset()
      begin()
      await settle()
      await fail(2)
      await http.request.answers(status, { body: { type: "error", data: { code } } })
      await settle()
      assert.deepEqual(client.state, { name: "closed", code: closes, reason: code })
    }
    http.reset()
    begin()
    await settle()
    await fail(2)
    await http.request.answers(429, { body: { data: { code: "too_fast" } } })
    await settle()
    assert.equal(client.state.name, "waiting")
    assert.ok(client.state.ms >= 30000)
  })

  test("a refusal without an object breaks the stream as any other, and is the error of what was said", async () => {
    begin()
    await settle()
    await fail(2)
    await http.request.answers(403, { body: null })
    await settle()
    assert.equal(client.state.name, "waiting")
    http.reset()
    await open({}, "cards")
    const refused = assert.rejects(client.action({}), { code: "refused", message: "status 403" })
    await settle()
    await http.request.answers(403, { body: null })
    await settle()
    await refused
    assert.equal(client.state.name, "open")
  })

  test("the token goes as a field, and never in the URL", async () => {
    let n = 0
    const stream = await open({ token: () => `token-${++n}` }, "cards")
    assert.equal(stream.headers.Authorization, "Bearer token-3")
    assert.ok(!stream.url.href.includes("token-"))
    await stream.says({ type: "refresh", data: {} })
    client.action({}).catch(() => {})
    await settle()
    assert.equal(http.request.headers.Authorization, "Bearer token-4", "a fresh one from then on")
    await http.request.answers(401, { body: { data: { code: "token_expired" } } })
    await settle()
    await settle()
    assert.equal(client.state.name, "waiting")
  })
})

describe("saying", () => {
  test("an action is a POST, and its answer the response", async () => {
    await open({}, "cards")
    const answer = client.action({ name: "move" }, { key: "k" })
    await settle()
    const post = http.request
    assert.deepEqual([post.method, post.headers["Content-Type"], post.url.pathname], ["POST", "application/x-ndjson", "/app/sse/cards"])
    assert.deepEqual(post.said, [{ type: "action", key: "k", data: { name: "move" }, id: 1 }])
    await post.opens()
    await post.says({ type: "reply", id: 1, data: "done" }, done)
    await post.ends()
    assert.equal(await answer, "done")
    assert.equal(client.state.name, "open")
  })

  test("what is said in one turn goes at once, and what comes after waits until that is read", async () => {
    await open({}, "cards")
    const answers = [client.action(1), client.action(2)]
    await settle()
    answers.push(client.action(3))
    const refused = assert.rejects(client.action(4), { code: "no" })
    await settle()
    assert.equal(http.requests.length, 2)
    assert.deepEqual(http.request.said.map(({ data }) => data), [1, 2])
    await http.request.opens()
    assert.equal(http.requests.length, 3)
    assert.deepEqual(http.request.said.map(({ data }) => data), [3, 4])
    await http.requests[1].says({ type: "reply", id: 2, data: "b" }, { type: "reply", id: 1, data: "a" }, done)
    await http.request.opens()
    await http.request.says({ type: "reply", id: 3, data: "c" }, { type: "error", id: 4, data: { code: "no" } }, done)
    assert.deepEqual(await Promise.all(answers), ["a", "b", "c"])
    await refused
  })

  test("a POST whose answer is cut breaks the whole, and is said again with its key", async () => {
    await open({}, "cards")
    const answer = client.action({ name: "move" }, { key: "k" })
    await settle()
    await http.request.opens()
    await http.request.ends()
    assert.equal(client.state.name, "waiting")
    await world.passes(client.state.ms)
    await http.request.opens("cards")
    await settle()
    assert.deepEqual(http.request.said.map(({ key, id }) => [key, id]), [["k", 1]])
    await http.request.opens()
    await http.request.says({ type: "reply", id: 1, data: "done" }, done)
    assert.equal(await answer, "done")
  })

  test("one that cannot be sent breaks it, too", async () => {
    await open({}, "cards")
    client.action({}).catch(() => {})
    await settle()
    await http.request.fails()
    assert.equal(client.state.name, "waiting")
  })

  test("a refusal is the error of what was said, and one for a while is repeated", async () => {
    await open({}, "cards")
    const refused = assert.rejects(client.action({ much: "x" }), new TidegateError({ code: "body_too_large", message: "too large" }))
    await settle()
    await http.request.answers(413, { body: { data: { code: "body_too_large", message: "too large" } } })
    await settle()
    await refused
    const other = client.action({}, { timeout: 60000 })
    await settle()
    await http.request.answers(429, { body: { data: { code: "too_fast" } }, headers: { "Retry-After": "30" } })
    await settle()
    const n = http.requests.length
    await world.passes(29000)
    assert.equal(http.requests.length, n)
    await http.requests.find(({ method }) => !method).passes(":\n")
    await world.passes(1000)
    assert.equal(http.requests.length, n + 1)
    await http.request.opens()
    await http.request.says({ type: "reply", id: 2, data: "done" }, done)
    assert.equal(await other, "done")
  })

  test("a channel that the path does not join has a response of its own, until it is left", async () => {
    const stream = await open({}, "cards")
    const one = client.subscribe("topic:1"), two = client.subscribe("topic:2")
    const heard = [heardBy(one), heardBy(two), heardBy(client)]
    await settle()
    const post = http.request
    assert.deepEqual(post.said.map(({ type, data }) => [type, data.channel]), [["subscribe", "topic:1"], ["subscribe", "topic:2"]])
    await post.opens()
    await post.says({ ...subscribed("topic:1"), id: 1 }, { ...subscribed("topic:2"), id: 2 }, event("topic:1", 1), event("topic:2", 2))
    await stream.says(event("cards", 3))
    assert.deepEqual(heard, [[1], [2], [3]])
    one.unsubscribe()
    await settle()
    await post.says(event("topic:1", 4), event("topic:2", 5))
    assert.deepEqual(heard, [[1], [2, 5], [3]])
    assert.ok(!post.isOver)
    two.unsubscribe()
    await settle()
    assert.ok(post.isOver)
    assert.equal(client.state.name, "open")
  })

  test("a channel that is left before its POST is answered keeps nobody from speaking", async () => {
    await open({}, "cards")
    const topic = client.subscribe("topic:1")
    await settle()
    const post = http.request
    topic.unsubscribe()
    await settle()
    assert.ok(post.isOver)
    const answer = client.action({})
    await settle()
    assert.equal(http.requests.length, 3)
    await http.request.opens()
    await http.request.says({ type: "reply", id: 3, data: "done" }, done)
    assert.equal(await answer, "done")
    assert.equal(client.state.name, "open")
  })

  test("nor does it let others speak before another POST is read", async () => {
    await open({}, "cards")
    const topic = client.subscribe("topic:1")
    await settle()
    const post = http.request
    await post.opens()
    await post.says({ ...subscribed("topic:1"), id: 1 })
    client.action(1).catch(() => {})
    await settle()
    topic.unsubscribe()
    client.action(2).catch(() => {})
    await settle()
    assert.ok(post.isOver)
    assert.equal(http.requests.length, 3)
    await http.request.opens()
    assert.deepEqual(http.request.said.map(({ data }) => data), [2])
  })

  test("nor is what was said beside it given up: its POST ends with the last answer", async () => {
    for (const isRead of [false, true]) {
      http.reset()
      await open({}, "cards")
      const topic = client.subscribe("topic:1")
      const heard = heardBy(topic)
      const answer = client.action({}), presence = client.presence("cards")
      await settle()
      const post = http.request
      if (isRead)
        await post.opens()
      topic.unsubscribe()
      await settle()
      assert.ok(!post.isOver)
      if (!isRead)
        await post.opens()
      await post.says({ ...subscribed("topic:1"), id: 1 }, event("topic:1", 1))
      await post.says({ type: "presence", id: 3, data: { channel: "cards", n_users: 2 } }, { type: "reply", id: 2, more: true })
      assert.ok(!post.isOver)
      await post.says({ type: "reply", id: 2, data: "done" })
      assert.deepEqual([await answer, (await presence).n_users, heard], ["done", 2, []])
      assert.ok(post.isOver)
      assert.equal(client.state.name, "open")
      client.close()
    }
  })

  test("or sooner, where it answers no more because it had no time to read all", async () => {
    const stream = await open({}, "cards")
    const topic = client.subscribe("topic:1")
    const answer = client.action({})
    await settle()
    const post = http.request
    await post.opens()
    await post.says({ ...subscribed("topic:1"), id: 1 }, { type: "error", data: { code: "rate", retry_after_ms: 1000 } })
    topic.unsubscribe()
    await settle()
    assert.ok(post.isOver)
    await stream.passes(":\n")
    await world.passes(1000)
    assert.deepEqual(http.request.said.map(({ type }) => type), ["action"])
    await http.request.opens()
    await http.request.says({ type: "reply", id: 2, data: "done" }, done)
    assert.equal(await answer, "done")
  })

  test("a channel that is left before anybody was asked for it is never asked for", async () => {
    const stream = await open({}, "cards")
    const answer = client.action({}, { timeout: 60000 })
    await settle()
    const post = http.request
    const topic = client.subscribe("topic:1")
    const other = client.subscribe("topic:2")
    const failed = heardBy(client, "error")
    await settle()
    topic.unsubscribe()
    await settle()
    await post.answers(429, { body: { data: { code: "too_fast" } }, headers: { "Retry-After": "30" } })
    await settle()
    const said = http.request.said
    assert.deepEqual(said.map(({ data }) => data.channel), ["topic:2"])
    await http.request.opens()
    await http.request.says({ ...subscribed("topic:2"), id: said[0].id })
    await stream.passes(":\n")
    await world.passes(30000)
    assert.deepEqual(http.request.said.map(({ type }) => type), ["action"], "nor when all that has no answer is said again")
    await http.request.opens()
    await http.request.says({ type: "reply", id: 1, data: "done" }, done)
    assert.equal(await answer, "done")
    assert.deepEqual(failed, [])
    other.unsubscribe()
  })

  test("but is asked for if it is wanted again", async () => {
    await open({}, "cards")
    client.subscribe("topic:1").unsubscribe()
    const heard = heardBy(client.subscribe("topic:1"))
    await settle()
    const post = http.request
    assert.deepEqual(post.said.map(({ type, data }) => [type, data.channel]), [["subscribe", "topic:1"]])
    await post.opens()
    await post.says({ ...subscribed("topic:1"), id: post.said[0].id }, event("topic:1", 1))
    assert.deepEqual(heard, [1])
  })

  test("a joined channel whose history was asked for and that is left is the stream's again", async () => {
    const stream = await open({}, "cards")
    const heard = heardBy(client)
    const all = client.subscribe("cards", { history: "all" })
    await settle()
    await http.request.opens()
    all.unsubscribe()
    await settle()
    await stream.says(event("cards", 1))
    assert.deepEqual(heard, [1])
  })

  test("who is closed says no more", async () => {
    await open({}, "cards")
    client.subscribe("topic:1")
    client.close()
    await settle()
    assert.equal(http.requests.length, 1)
  })

  test("its end is the end of the whole, and all is asked again", async () => {
    await open({}, "cards")
    client.subscribe("topic:1")
    await settle()
    await http.request.opens()
    await http.request.says({ ...subscribed("topic:1", { pos: "E.1.T" }), id: 1 }, { type: "close", data: { code: 1012, reason: "" } })
    assert.equal(client.state.name, "waiting")
    await world.passes(client.state.ms)
    await http.request.opens("cards")
    await settle()
    assert.deepEqual(http.request.said, [{ type: "subscribe", id: 2, data: { channel: "topic:1", since: "E.1.T" } }])
  })

  test("a channel that the path joins is heard once, by the stream", async () => {
    const stream = await open({}, "cards")
    const heard = heardBy(client.subscribe("cards"))
    await settle()
    assert.equal(http.requests.length, 1)
    await stream.says(subscribed("cards"), event("cards", 1))
    assert.deepEqual(heard, [1])
  })

  test("or by a response, where all of its history is wanted", async () => {
    const stream = await open({}, "cards")
    const heard = heardBy(client.subscribe("cards", { history: "all" }))
    await settle()
    assert.equal(http.requests.length, 2)
    await http.request.opens()
    await stream.says(event("cards", 3, "E.3.T"))
    await http.request.says({ ...subscribed("cards", { pos: "E.1.T" }), id: 1 }, event("cards", 2, "E.2.T"), event("cards", 3, "E.3.T"))
    assert.deepEqual(heard, [2, 3])
  })

  test("who is there is asked, too", async () => {
    await open({}, "cards")
    const presence = client.presence("cards")
    await settle()
    await http.request.opens()
    await http.request.says({ type: "presence", id: 1, data: { channel: "cards", n_users: 2 } }, done)
    assert.equal((await presence).n_users, 2)
  })
})

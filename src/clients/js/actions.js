/** Actions: what the page asks a backend to do, and its answers, which may come in parts. */

import { TidegateError } from "./requests.js"

const TIMEOUT_MS = 30000 // more than a gateway waits for a worker

/** A key that nobody else has. Pages over plain HTTP have no crypto.randomUUID(). */
const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), byte => byte.toString(16).padStart(2, "0")).join("")

/**
 * say(message, {answer, fail}): sends it, now or when there is a connection; returns its id. drop(id): nobody waits any more.
 * Each action has a key, by which workers know one that was said again after a broken connection.
 */
export function makeAction(say, drop) {
  function begin(data, { key = newKey(), timeout = TIMEOUT_MS } = {}, hear, fail) {
    let timer
    const watch = () => {
      clearTimeout(timer)
      timer = setTimeout(() => {
        drop(id)
        fail(new TidegateError({ code: "timeout", message: `no answer within ${timeout} ms` }))
      }, timeout)
    }
    const id = say({ type: "action", key, data }, {
      repeat: true,
      answer: (message, isNew) => {
        message.more ? watch() : clearTimeout(timer)
        if (isNew)
          hear(message)
      },
      fail: error => {
        clearTimeout(timer)
        fail(error)
      },
    })
    watch()
    return () => {
      clearTimeout(timer)
      drop(id)
    }
  }

  /** The whole answer; of one in parts, the last part. */
  const action = (data, options) =>
    new Promise((resolve, reject) => begin(data, options, message => message.more || resolve(message.data), reject))

  action.parts = async function* (data, options) {
    const parts = []
    let arrived
    const put = part => {
      parts.push(part)
      arrived?.()
    }
    const stop = begin(data, options, put, error => put({ error }))
    try {
      for (;;) {
        while (!parts.length)
          await new Promise(resolve => (arrived = resolve))
        const { error, data: part, more } = parts.shift()
        if (error)
          throw error
        if (part !== undefined)
          yield part
        if (!more)
          return
      }
    } finally {
      stop()
    }
  }
  return action
}

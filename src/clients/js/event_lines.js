/** Event lines: the lines of a response of server-sent events, as they come. */

/** body: of a fetch. Ends with it; what is no whole line then was cut off, and is nothing. */
export async function* eventLines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  try {
    for (let rest = "";;) {
      const { done, value } = await reader.read()
      if (done)
        return
      const lines = (rest + value).split("\n")
      rest = lines.pop()
      yield* lines
    }
  } finally {
    reader.cancel().catch(() => {}) // by itself it would be read on for nobody
  }
}

/** Close codes: what the end of a connection asks of the client. The table of docs/protocol.md, "Closing", row by row. */

export const RETRY = "retry" // after the usual wait
export const STOP = "stop" // coming back unchanged would end in the same way
export const RENEW = "renew" // come back with a fresh token, if there is one to be had

/** `waitMs`: the least that the client waits before it comes back. */
const rows = {
  1002: { then: STOP }, // protocol error
  1003: { then: STOP }, // binary message
  1007: { then: STOP }, // not UTF-8
  1008: { then: STOP }, // policy: a proxy's word, not the gateway's
  1009: { then: STOP }, // message too large
  1013: { then: RETRY, waitMs: 5000 }, // overload
  4001: { then: RENEW }, // token missing, expired, refused
  4101: { then: RETRY, waitMs: 30000 }, // too many, too fast
}

/** Codes without a row: 40xx ask not to come back unchanged (4010: disconnected by the backend), all others may. */
export const onClose = code => rows[code] ?? { then: code >= 4000 && code < 4100 ? STOP : RETRY }

import type { Options as SocketOptions, Tidegate } from "./tidegate.js"
export * from "./tidegate.js"

export interface Options extends SocketOptions {
  /** Where the event stream of this URL is, if that is not /sse/… beside /ws/…. */
  sse?: (url: URL) => string | URL
  /** Where the runtime has none. */
  fetch?: typeof globalThis.fetch
}

/** As connect() of "tidegate": but where two WebSockets in a row do not open, it goes on by server-sent events and POST, until they do. */
export function connect(url: string | URL | (string | URL)[], options?: Options): Tidegate

/** One event, as the gateway sends it. `pos` is there on channels with a history. */
export interface Event {
  type: string
  data?: unknown
  channel: string
  timestamp?: string
  pos?: string
  [member: string]: unknown
}

/** Why the state is to be loaded anew: "first" the first time, "none" without a history, otherwise as in docs/recovery.md. */
export type GapReason = "first" | "none" | "trimmed" | "epoch" | "fork" | "limit" | "format" | "away" | "dropped" | (string & {})

export type State =
  | { name: "connecting" | "open" }
  /** Redis is away, and events wait for it. channels: only those of these channels; absent: all. */
  | { name: "degraded"; channels?: string[] }
  /** ms: until the next try; none while there is no network. code, reason: of the close frame; error: of the token callback. */
  | { name: "waiting"; ms?: number; isOffline?: boolean; code?: number; reason?: string; error?: unknown }
  | { name: "closed"; code: number; reason: string }

export class TidegateError extends Error {
  readonly code: string
  readonly retryAfterMs?: number
}

/** May return a promise: then the next event of the channel waits for it, and its position is kept when it is done. */
export type Listener<T = any> = (data: T, event: Event) => unknown

interface Listens {
  /** Each returns the function that takes the listener away. */
  on(type: "gap", listener: (reason: GapReason, channel: string) => unknown): () => void
  on(type: "retracted", listener: (count: number, channel: string) => unknown): () => void
  on(type: "error", listener: (error: TidegateError, channel: string) => unknown): () => void
  on<T = any>(type: string, listener: Listener<T>): () => void
}

export interface Subscription extends Listens {
  readonly channel: string
  unsubscribe(): void
}

export interface ActionOptions {
  /** Makes a repetition harmless; drawn at random by default. At most 64 bytes. */
  key?: string
  /** Milliseconds without an answer, or without a further part of it. */
  timeout?: number
}

export interface Action {
  <T = any>(data: unknown, options?: ActionOptions): Promise<T>
  parts<T = any>(data: unknown, options?: ActionOptions): AsyncGenerator<T, void, void>
}

export interface Presence {
  channel: string
  n_users: number
  /** Connections without a user. */
  n_anonymous: number
  /** Up to 1,000, where the route lists them. */
  users?: { user: string; info?: unknown }[]
}

/** What `on("presence_changed", …)` hears; joined and left are there where the route lists users. */
export interface PresenceChange {
  n_users: number
  n_anonymous: number
  joined?: { user: string; info?: unknown }[]
  left?: { user: string; info?: unknown }[]
}

export interface Tidegate extends Listens {
  readonly state: State
  readonly action: Action
  on(type: "state", listener: (state: State) => unknown): () => void
  on(type: "gap", listener: (reason: GapReason, channel: string) => unknown): () => void
  on(type: "retracted", listener: (count: number, channel: string) => unknown): () => void
  on(type: "error", listener: (error: TidegateError, channel: string) => unknown): () => void
  on<T = any>(type: string, listener: Listener<T>): () => void
  /** history: go on from where the channel was (the default); "all": and the first time begin with all that is kept of it. */
  subscribe(channel: string, options?: { history?: boolean | "all" }): Subscription
  /** Who is on the channel now, where its route has `presence`. */
  presence(channel: string): Promise<Presence>
  /** For good. Actions that are not answered are rejected with the code "closed". */
  close(): void
}

export interface Options {
  /** Asked before each connection, and when the gateway wants a fresh one. */
  token?: () => string | undefined | Promise<string | undefined>
  /** Keeps positions over a reload of the page, such as sessionStorage. Keep the state that belongs to them, too. */
  storage?: { getItem(key: string): string | null; setItem(key: string, value: string): void }
  /** Where the runtime has none, such as that of the package `ws`. */
  WebSocket?: new (url: string, protocols: string[]) => any
}

/**
 * url: absolute, or relative to the page; http and https count as ws and wss. Throws a TypeError for what is none. Or an array of
 * them, of which each connection takes the next; it may grow meanwhile.
 */
export function connect(url: string | URL | (string | URL)[], options?: Options): Tidegate

/** Positions: where each channel stands, kept in a storage (such as sessionStorage) so that a reload of the page goes on there. */

export class Positions {
  #storage
  #key
  #byChannel

  /** Without a storage they live as long as this object. */
  constructor(storage, url) {
    this.#storage = storage
    this.#key = `tidegate:${url}`
    try {
      const kept = Object.entries(JSON.parse(storage?.getItem(this.#key) ?? "{}"))
      this.#byChannel = Object.fromEntries(kept.filter(([, one]) => typeof one?.position === "string"))
    } catch {
      this.#byChannel = {} // somebody else's text, or a storage that is shut
    }
  }

  entries() {
    return Object.entries(this.#byChannel)
  }

  get(channel) {
    return this.#byChannel[channel]?.position
  }

  /** isEndpoint: of a channel that the path joins, so that the next page asks for it with the URL. */
  keep(channel, position, isEndpoint) {
    this.#byChannel[channel] = { position, isEndpoint }
    this.#store()
  }

  /** Nobody wants to go on there any more. */
  drop(channel) {
    delete this.#byChannel[channel]
    this.#store()
  }

  #store() {
    try {
      this.#storage?.setItem(this.#key, JSON.stringify(this.#byChannel))
    } catch {
      // full, or shut: the page starts anew after a reload
    }
  }
}

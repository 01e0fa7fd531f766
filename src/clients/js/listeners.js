/** Listeners: who wants to hear which type, as functions. `*` hears every type that an event has. */

/** A fault of the application's own code must not stop what comes behind it, and must not vanish either. */
const report = error => (globalThis.reportError ?? console.error)(error)

export class Listeners {
  #byType = new Map()

  /** Returns the function that takes it away again. */
  on(type, listener) {
    const all = this.#byType.get(type) ?? new Set()
    this.#byType.set(type, all.add(listener))
    return () => void all.delete(listener)
  }

  /** Calls them in the order in which they came. A promise only if one of them returned one: it is done when all are. */
  tell(types, ...args) {
    const promises = []
    for (const type of types)
      for (const listener of [...this.#byType.get(type) ?? []])
        try {
          const result = listener(...args)
          if (typeof result?.then === "function")
            promises.push(Promise.resolve(result).catch(report))
        } catch (error) {
          report(error)
        }
    return promises.length ? Promise.all(promises) : undefined
  }
}

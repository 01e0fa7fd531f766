/** Page: what a browser tells of the page that this runs in. Elsewhere (workers, Node) it tells nothing. */

const { document, window } = globalThis

export const isHidden = () => document?.visibilityState === "hidden"
export const isOffline = () => globalThis.navigator?.onLine === false

/**
 * wake(): the page is shown again, thawed, or online: what was open may be dead. sleep(): it goes into the back-forward cache,
 * or ends. Returns the function that stops it.
 */
export function watchPage({ wake, sleep }) {
  const shown = () => isHidden() || wake()
  const watched = [
    [globalThis, "online", wake],
    [document, "visibilitychange", shown],
    [document, "resume", wake],
    [window, "pageshow", event => event.persisted && wake()],
    [window, "pagehide", sleep],
  ]
  const each = verb => watched.forEach(([target, type, listener]) => target?.[verb]?.(type, listener))
  each("addEventListener")
  return () => each("removeEventListener")
}

/**
 * React hooks.
 *
 *   <TidegateProvider client={tidegate}> … </TidegateProvider>
 *   useChannel("execution:42", "log_line", line => setLines(lines => [...lines, line]))
 */

import { createContext, createElement, useContext, useEffect, useRef, useState } from "react"

const Context = createContext(null)

export const TidegateProvider = ({ client, children }) => createElement(Context.Provider, { value: client }, children)

export function useTidegate() {
  const client = useContext(Context)
  if (!client)
    throw new Error("there is no <TidegateProvider> above")
  return client
}

/** Calls the handler of the newest render with each event of this type, from mount to unmount. channel null: those of the endpoint. */
export function useChannel(channel, type, handler) {
  const client = useTidegate()
  const newest = useRef(handler)
  useEffect(() => void (newest.current = handler))
  useEffect(() => {
    const subscription = channel === null ? client : client.subscribe(channel)
    const off = subscription.on(type, (...args) => newest.current(...args))
    return () => {
      off()
      subscription.unsubscribe?.()
    }
  }, [client, channel, type])
}

/** The connection's state, anew with each change. */
export function useConnectionState() {
  const client = useTidegate()
  const [state, setState] = useState(client.state)
  useEffect(() => {
    setState(client.state)
    return client.on("state", setState)
  }, [client])
  return state
}

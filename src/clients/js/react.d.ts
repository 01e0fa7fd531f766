import type { ReactElement, ReactNode } from "react"
import type { Listener, State, Tidegate } from "./tidegate.js"

export function TidegateProvider(props: { client: Tidegate; children?: ReactNode }): ReactElement
export function useTidegate(): Tidegate
/** channel null: the channels of the endpoint. */
export function useChannel<T = any>(channel: string | null, type: string, handler: Listener<T>): void
export function useConnectionState(): State

import type { ReactElement, ReactNode } from "react"
import type { GapReason, Listener, State, Tidegate, TidegateError } from "./tidegate.js"

export function TidegateProvider(props: { client: Tidegate; children?: ReactNode }): ReactElement
export function useTidegate(): Tidegate
/** channel null: the channels of the endpoint. */
export function useChannel(channel: string | null, type: "gap", handler: (reason: GapReason, channel: string) => unknown): void
export function useChannel(channel: string | null, type: "retracted", handler: (count: number, channel: string) => unknown): void
export function useChannel(channel: string | null, type: "error", handler: (error: TidegateError, channel: string) => unknown): void
export function useChannel<T = any>(channel: string | null, type: string, handler: Listener<T>): void
export function useConnectionState(): State

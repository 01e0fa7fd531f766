/** Of React's types what ours name: so they are compiled where those are not installed. */
declare module "react" {
  export type ReactElement = object
  export type ReactNode = unknown
}

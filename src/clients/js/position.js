/** Position: where a reader of a channel's log stands, as the gateway spells it: `epoch.offset.tag`. */

const parts = position => position.split(".")

/** Is what stands at `position` known already to one who stands at `known`? Offsets of different epochs say nothing. */
export function isRepetition(position, known) {
  if (!position || !known)
    return false
  const [epoch, offset] = parts(position), [knownEpoch, knownOffset] = parts(known)
  return epoch === knownEpoch && +offset <= +knownOffset
}

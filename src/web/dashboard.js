// The dashboard: asks the admin API every two seconds and shows what it says. No framework, nothing from elsewhere.
//
// Rates and delivery times are made of what grew between two answers, by the gateway's own clock. What it cannot know it
// shows as a dash, and what is old it shows as old.
'use strict'

const POLL_MS = 2000
const PATIENCE_MS = 8000
const SAMPLES = 90 // of a sparkline: three minutes
const CHANNELS_EVERY = 3 // polls: with many channels this list costs the gateway most
const WINDOW = 6 // polls that the delivery times are taken over
const REASONS_MS = 5 * 60 * 1000
const EVENTS_MAX = 30

const $ = id => document.getElementById(id)
const series = { connections: [], events: [], messages: [], p99: [] }
let history = [] // answers of this node, the newest last
let reasons = [] // {at, counts}
let heard = 0 // when the gateway answered last
let shownChannel = null // {name, controller}
let askingToken = false
let polls = 0

// Asking

class Unauthorized extends Error {}

function headers() {
  const token = sessionStorage.getItem('tidegate-token')
  return token ? { Authorization: 'Bearer ' + token } : {}
}

async function ask(path) {
  const answer = await fetch(path, { headers: headers(), cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS) })
  if (answer.status === 401)
    throw new Unauthorized()
  const body = await answer.json()
  if (!answer.ok)
    throw new Error(body.error ? body.error.message : 'status ' + answer.status)
  return body
}

// Numbers, as they are read

const grouping = new Intl.NumberFormat('en')
const decimal = new Intl.NumberFormat('en', { minimumFractionDigits: 1, maximumFractionDigits: 1 })

const count = n => grouping.format(n)

function rate(n) {
  return n > 0 && n < 10 ? decimal.format(n) : grouping.format(Math.round(n))
}

function bytes(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let i = 0
  for (; n >= 1024 && i + 1 < units.length; i++)
    n /= 1024
  return (i ? decimal.format(n) : count(n)) + ' ' + units[i]
}

function time(seconds) {
  if (seconds === null || seconds === undefined)
    return '–'
  const ms = seconds * 1000
  if (ms >= 1000)
    return decimal.format(ms / 1000) + ' s'
  return (ms < 10 ? ms.toFixed(2) : ms < 100 ? ms.toFixed(1) : ms.toFixed(0)) + ' ms'
}

function duration(s) {
  s = Math.floor(s)
  if (s >= 86400)
    return Math.floor(s / 86400) + 'd ' + Math.floor(s / 3600) % 24 + 'h'
  if (s >= 3600)
    return Math.floor(s / 3600) + 'h ' + Math.floor(s / 60) % 60 + 'm'
  if (s >= 60)
    return Math.floor(s / 60) + 'm ' + s % 60 + 's'
  return s + 's'
}

// As the gateway's own pulse does it: interpolated within the bucket.
function quantile(bounds, counts, q) {
  const total = counts.reduce((sum, n) => sum + n, 0)
  if (!total)
    return null
  let below = 0
  for (let i = 0; i < bounds.length; i++) {
    if (counts[i] && below + counts[i] >= q * total) {
      const low = i ? bounds[i - 1] : 0
      return low + (bounds[i] - low) * (q * total - below) / counts[i]
    }
    below += counts[i]
  }
  return bounds[bounds.length - 1]
}

// The page

function show(id, text, tone) {
  const element = $(id)
  if (element.textContent !== text)
    element.textContent = text
  if (tone !== undefined)
    element.className = tone
}

function spark(id, values) {
  const svg = $(id)
  const known = values.map(value => value === null ? 0 : value)
  const top = Math.max(...known, 1e-9) * 1.15
  const x = i => i * 100 / Math.max(known.length - 1, 1)
  const y = value => 38 - 36 * value / top
  const points = known.map((value, i) => x(i).toFixed(2) + ',' + y(value).toFixed(2))
  if (!svg.firstChild) {
    svg.setAttribute('viewBox', '0 0 100 40')
    svg.setAttribute('preserveAspectRatio', 'none')
    for (const name of ['area', 'curve']) {
      const path = document.createElementNS('http://www.w3.org/2000/svg', 'path')
      path.setAttribute('class', name)
      svg.append(path)
    }
  }
  if (!points.length)
    return
  const line = points.length > 1 ? 'M' + points.join(' L') : ''
  svg.children[0].setAttribute('d', line && line + ' L100,40 L' + x(0).toFixed(2) + ',40 Z')
  svg.children[1].setAttribute('d', line)
}

function push(name, value) {
  series[name].push(value)
  if (series[name].length > SAMPLES)
    series[name].shift()
  spark('spark-' + name, series[name])
}

function cell(content, className, header) {
  const element = document.createElement(header ? 'th' : 'td')
  if (className)
    element.className = className
  element.append(content)
  return element
}

// Rows are kept and changed in place, so that what has the keyboard's focus keeps it.
function rows(id, list, key, fill) {
  const body = $(id)
  const there = new Map([...body.children].map(row => [row.dataset.key, row]))
  let at = body.firstElementChild
  for (const item of list) {
    const name = String(key(item))
    let row = there.get(name)
    if (!row) {
      row = document.createElement('tr')
      row.dataset.key = name
    }
    there.delete(name)
    fill(row, item)
    if (row === at)
      at = at.nextElementSibling
    else
      body.insertBefore(row, at)
  }
  for (const row of there.values())
    row.remove()
}

function texts(row, cells) {
  cells.forEach(([text, className], i) => {
    const element = row.children[i] || row.appendChild(document.createElement('td'))
    if (element.textContent !== text)
      element.textContent = text
    element.className = className || ''
  })
}

function stateOf(node) {
  if (node.draining)
    return ['draining', 'warn']
  return node.ready ? ['ready', 'good'] : ['not ready', 'bad']
}

function showIdentity(node) {
  const [state, tone] = stateOf(node)
  show('state', state, 'pill ' + tone)
  show('identity', node.host + ':' + node.port + '  ·  node ' + node.node + '  ·  ' + node.version + '  ·  up ' +
    duration(node.uptime_seconds))
  document.title = (node.ready ? '' : '⚠ ') + 'Tidegate ' + node.host + ':' + node.port
}

function showFacts(node) {
  const broker = node.broker
  const ready = broker.state === 'ready'
  show('broker-name', broker.kind === 'redis' ? 'Redis' : 'Broker')
  show('broker', broker.kind === 'redis' ? (ready ? broker.address : 'away: ' + (broker.reason || broker.state))
    : 'in memory', ready ? '' : 'bad')
  show('probe', ready && node.redis_probe_seconds ? time(node.redis_probe_seconds) : '–')
  show('lag', time(node.loop_lag_seconds), node.loop_lag_seconds > 0.25 ? 'warn' : '')
  show('queued', bytes(node.queued_bytes))
  show('dropped', count(node.totals.messages_dropped), node.totals.messages_dropped ? 'warn' : '')
  show('subscriptions', count(node.subscriptions))
  show('channel-count', count(node.channels))
  show('sent', bytes(node.totals.sent_bytes))
}

function showTiles(node) {
  const before = history[history.length - 1]
  const passed = before ? node.uptime_seconds - before.uptime_seconds : 0
  if (before && (before.node !== node.node || passed < 0)) {
    history = []
    Object.values(series).forEach(list => list.length = 0)
    return showTiles(node)
  }
  show('connections', count(node.connections))
  push('connections', node.connections)
  if (passed > 0) {
    const grew = name => (node.totals[name] - before.totals[name]) / passed
    show('events', rate(grew('events')))
    show('messages', rate(grew('messages_sent')))
    push('events', grew('events'))
    push('messages', grew('messages_sent'))
    showDeliveryTime(node)
  }
  history.push(node)
  if (history.length > WINDOW)
    history.shift()
}

function showDeliveryTime(node) {
  const { bounds, counts } = node.delivery_seconds
  const first = history[0].delivery_seconds.counts
  const grown = counts.map((n, i) => n - first[i])
  const p99 = quantile(bounds, grown, 0.99)
  show('p50', time(quantile(bounds, grown, 0.5)))
  show('p99', time(p99))
  push('p99', p99)
}

function showNodes(answer) {
  const own = answer.nodes[0].node
  // What is there in Redis others wrote: who does not look like a gateway is left out.
  const known = answer.nodes.filter(node => typeof node.node === 'string' && node.pulse)
  const sorted = known.sort((a, b) => (a.host + a.port).localeCompare(b.host + b.port) || (a.node < b.node ? -1 : 1))
  rows('nodes', sorted, node => node.node, (row, node) => {
    const [state, tone] = stateOf(node)
    row.className = node.node === own ? 'self' : ''
    texts(row, [
      [node.node.slice(0, 8) + (node.node === own ? ' (this)' : ''), 'name'],
      [node.host + ':' + node.port, 'wide'],
      [state, tone],
      [count(node.connections), 'number'],
      [rate(node.pulse.events_per_second), 'number wide'],
      [rate(node.pulse.messages_per_second), 'number'],
      [time(node.pulse.delivery_p99_seconds), 'number wide'],
      [duration(node.uptime_seconds), 'number wide'],
      [node.version, 'wide'],
    ])
  })
  $('nodes-note').hidden = !answer.message
  show('nodes-note', answer.message || '')
}

function showChannels(answer) {
  const most = answer.channels.length ? answer.channels[0].subscribers : 1
  rows('channels', answer.channels, channel => channel.channel, (row, channel) => {
    if (!row.firstChild) {
      const button = document.createElement('button')
      button.type = 'button'
      button.className = 'link'
      button.textContent = channel.channel
      button.addEventListener('click', () => openChannel(channel.channel))
      row.append(cell(button, 'share'), cell('', 'number'))
    }
    row.firstChild.style.setProperty('--share', (100 * channel.subscribers / most).toFixed(1))
    row.lastChild.textContent = count(channel.subscribers)
  })
  const left = answer.total - answer.channels.length
  const match = $('match').value.trim()
  show('channels-note', left > 0 ? 'and ' + count(left) + ' more' : answer.total ? '' :
    match ? 'No channel with “' + match + '” has a subscriber here. Enter opens it all the same.' : 'Nobody is subscribed to anything.')
}

function showSlow(answer) {
  const slow = answer.connections.filter(connection => connection.queued_bytes || connection.messages_dropped)
  rows('slow', slow, connection => connection.id, (row, connection) => texts(row, [
    [String(connection.id), 'number'],
    [connection.route, 'name'],
    [connection.remote, 'wide'],
    [bytes(connection.queued_bytes), 'number'],
    [count(connection.messages_dropped), 'number' + (connection.messages_dropped ? ' warn' : '')],
  ]))
  show('slow-note', slow.length ? '' : 'Nothing waits for any client.')
}

function showDisconnects(answer) {
  const now = performance.now()
  const key = reason => reason.code + ' ' + reason.reason
  const counts = Object.fromEntries(answer.by_reason.map(reason => [key(reason), reason.count]))
  reasons.push({ at: now, counts, total: answer.total })
  reasons = reasons.filter(sample => sample.at >= now - REASONS_MS && sample.total <= answer.total)
  const first = reasons[0].counts
  const whole = history.length && history[history.length - 1].uptime_seconds * 1000 < REASONS_MS
  const lately = reason => reason.count - (whole ? 0 : first[key(reason)] || 0)
  const sorted = [...answer.by_reason].sort((a, b) => b.count - a.count)
  rows('reasons', sorted, key, (row, reason) => texts(row, [
    [String(reason.code), 'number'],
    [reason.reason, ''],
    [lately(reason) ? '+' + count(lately(reason)) : '–', 'number'],
    [count(reason.count), 'number'],
  ]))
  show('reasons-note', answer.total ? '' : 'Nobody has left yet.')
  rows('disconnects', answer.disconnects, entry => entry.id, (row, entry) => {
    texts(row, [
      [new Date(entry.time).toLocaleTimeString([], { hour12: false }), ''],
      [String(entry.code), 'number'],
      [entry.route, 'name'],
      [entry.remote, 'wide'],
      [duration(entry.duration_seconds), 'number'],
      [entry.reason, 'wide'],
    ])
  })
  show('disconnects-note', answer.disconnects.length ? '' : 'Nobody has left yet.')
}

// One channel

function addEvent(text, fresh) {
  const item = document.createElement('li')
  item.textContent = text
  if (fresh)
    item.className = 'fresh'
  $('channel-events').prepend(item)
  while ($('channel-events').children.length > EVENTS_MAX)
    $('channel-events').lastChild.remove()
  if (fresh)
    setTimeout(() => item.className = '', 1500)
  show('channel-note', '')
}

async function listen(name, controller) {
  try {
    const answer = await fetch('tail?channel=' + encodeURIComponent(name), { headers: headers(), signal: controller.signal })
    if (!answer.ok)
      throw new Error('status ' + answer.status)
    show('channel-tail', 'live', 'good')
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
    let rest = ''
    for (;;) {
      const { value, done } = await reader.read()
      if (done)
        break
      const lines = (rest + value).split('\n')
      rest = lines.pop()
      lines.filter(Boolean).forEach(line => addEvent(line, true))
    }
  } catch (error) {
    if (controller.signal.aborted)
      return
  }
  show('channel-tail', 'interrupted', 'warn')
  setTimeout(() => controller.signal.aborted || listen(name, controller), POLL_MS)
}

function showChannel(answer) {
  show('channel-subscribers', count(answer.subscribers))
  const kept = answer.history
  show('channel-history', kept ? count(kept.size) + ' for ' + duration(kept.ttl_seconds) + ', ' + kept.state : 'off')
  show('channel-position', kept && kept.pos || '–')
}

async function openChannel(name) {
  closeChannel()
  const controller = new AbortController()
  shownChannel = { name, controller }
  $('channel').hidden = false
  show('channel-title', name)
  show('channel-subscribers', '–')
  show('channel-history', '–')
  show('channel-position', '–')
  show('channel-tail', 'connecting', '')
  $('channel-events').replaceChildren()
  show('channel-note', 'No event yet. What is published from now on appears here.')
  $('channel-title').focus()
  $('channel').scrollIntoView({ block: 'nearest' })
  try {
    const answer = await ask('channels/' + encodeURIComponent(name) + '?limit=10')
    if (controller.signal.aborted)
      return
    showChannel(answer)
    answer.events.reverse().forEach(event => addEvent(JSON.stringify(event)))
    listen(name, controller)
  } catch (error) {
    if (!controller.signal.aborted)
      show('channel-note', 'This channel cannot be shown: ' + (error.message || 'the token is not accepted') + '.')
  }
}

function closeChannel() {
  if (shownChannel)
    shownChannel.controller.abort()
  shownChannel = null
  $('channel').hidden = true
}

// The token

function askToken() {
  const known = sessionStorage.getItem('tidegate-token')
  askingToken = true
  $('login-note').className = known ? 'bad' : ''
  if (known)
    show('login-note', 'The gateway does not accept this token.')
  $('token').value = ''
  show('state', 'locked', 'pill warn')
  if (!$('login').open)
    $('login').showModal()
}

// The loop

function channelsPath() {
  const match = $('match').value.trim()
  return 'channels?limit=10' + (match ? '&match=' + encodeURIComponent(match) : '')
}

async function poll() {
  const channel = shownChannel
  const nodes = await ask('nodes') // first: if it is refused so are the others
  const own = nodes.nodes[0]
  showIdentity(own)
  showFacts(own)
  showTiles(own)
  showNodes(nodes)
  await Promise.all([
    polls++ % CHANNELS_EVERY === 0 && ask(channelsPath()).then(showChannels),
    ask('connections?sort=queued&limit=10').then(showSlow),
    ask('disconnects?limit=10').then(showDisconnects),
    channel && ask('channels/' + encodeURIComponent(channel.name) + '?limit=1')
      .then(answer => channel === shownChannel && showChannel(answer)),
  ])
}

function showTrouble() {
  const seconds = Math.round((performance.now() - heard) / 1000)
  show('state', 'away', 'pill bad')
  show('trouble', heard ? 'The gateway has not answered for ' + duration(seconds) + '. Trying on.' :
    'The gateway does not answer. Trying on.')
  $('trouble').hidden = false
  $('main').className = 'stale'
}

function showRecovered() {
  heard = performance.now()
  $('trouble').hidden = true
  $('main').className = ''
}

let timer = null

async function turn() {
  clearTimeout(timer)
  if (!askingToken && !document.hidden) {
    try {
      await poll()
      showRecovered()
    } catch (error) {
      if (error instanceof Unauthorized)
        askToken()
      else
        showTrouble()
    }
  }
  clearTimeout(timer)
  timer = setTimeout(turn, POLL_MS)
}

$('login-form').addEventListener('submit', event => {
  event.preventDefault()
  sessionStorage.setItem('tidegate-token', $('token').value)
  $('login').close()
  askingToken = false
  turn()
})
$('login').addEventListener('cancel', event => event.preventDefault())

let typing = null
$('match').addEventListener('input', () => {
  clearTimeout(typing)
  // What goes wrong here the next turn finds out, too.
  typing = setTimeout(() => ask(channelsPath()).then(showChannels, () => {}), 250)
})
$('search').addEventListener('submit', event => {
  event.preventDefault()
  const name = $('match').value.trim()
  if (name)
    openChannel(name)
})
$('channel-close').addEventListener('click', () => {
  closeChannel()
  $('match').focus()
})
document.addEventListener('visibilitychange', () => document.hidden || turn())
turn()

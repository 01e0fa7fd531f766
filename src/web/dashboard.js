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
const EVENTS_MS = 250 // however many come, the list of a channel's events changes this often
const SILENT_MS = 12000 // a gateway announces itself every five seconds

const $ = id => document.getElementById(id)
const series = { connections: [], events: [], messages: [], p99: [] }
let history = [] // answers of this node, the newest last
let reasons = [] // {at, counts}
let heard = 0 // when the gateway answered last
let announced = new Map() // of each node: {uptime, at}, what it announced last, and when we saw that first
let shownConfig = '' // when what is shown of the configuration was read
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

function brokerText(broker) {
  if (broker.kind !== 'redis')
    return 'in memory'
  if (broker.urls_differ)
    return 'another gateway has another list of servers, or another order'
  if (broker.servers)
    return broker.degraded.length ? broker.degraded.length + ' of ' + broker.servers.length + ' servers are away'
      : broker.servers.length + ' servers'
  return broker.state === 'ready' ? broker.address : 'away: ' + (broker.reason || broker.state)
}

// Of one server the facts say all there is, unless sentinels name it.
function showServers(broker) {
  const servers = broker.servers || (broker.master ? [broker] : [])
  $('servers-panel').hidden = !servers.length
  rows('servers', servers.map((server, i) => ({ ...server, i })), server => server.i, (row, server) => {
    const ready = server.state === 'ready'
    texts(row, [
      [server.address],
      [ready ? 'ready' : 'away', ready ? 'good' : 'bad'],
      [count(server.n_channels), 'number'],
      [ready && server.probe_seconds ? time(server.probe_seconds) : '–', 'number'],
      [count(server.n_reconnects), 'number wide'],
      [server.master ? server.n_sentinels_voting + ' of ' + server.n_sentinels + ' name ' + server.master : '–', 'wide'],
      [server.reason || '', 'wide'],
    ])
  })
}

function showFacts(node) {
  const broker = node.broker
  const ready = broker.state === 'ready'
  show('broker-name', broker.kind === 'redis' ? 'Redis' : 'Broker')
  show('broker', brokerText(broker), ready && !broker.urls_differ ? '' : 'bad')
  showServers(broker)
  show('probe', ready && node.redis_probe_seconds ? time(node.redis_probe_seconds) : '–')
  show('lag', time(node.loop_lag_seconds), node.loop_lag_seconds > 0.25 ? 'warn' : '')
  const memory = node.memory
  show('memory', bytes(memory.bytes) + ' of ' + bytes(memory.max_bytes) + (memory.stage === 'plenty' ? '' : ', ' + memory.stage),
    memory.stage === 'plenty' ? '' : 'bad')
  show('queued', bytes(node.queued_bytes))
  show('dropped', count(node.totals.messages_dropped), node.totals.messages_dropped ? 'warn' : '')
  show('events-refused', count(node.totals.events_dropped), node.totals.events_dropped ? 'warn' : '')
  show('handshakes-refused', count(node.totals.handshakes_refused), node.totals.handshakes_refused ? 'warn' : '')
  const lost = node.totals.actions_timed_out + node.totals.actions_refused
  show('actions', node.totals.actions_sent + lost ? count(node.totals.actions_answered) + ' of ' + count(node.totals.actions_sent)
    + (lost ? ', ' + count(lost) + ' refused or late' : '') : '–', lost ? 'warn' : '')
  show('subscriptions', count(node.subscriptions))
  show('channel-count', count(node.channels))
  show('sent', bytes(node.totals.sent_bytes))
}

function showReload(node) {
  const reload = node.last_reload
  const refused = Boolean(reload && !reload.successful)
  const read = reload ? 'of ' + new Date(reload.time).toLocaleTimeString([], { hour12: false }) : 'as started'
  show('config-state', refused ? read + ', a newer one was refused' : read, refused ? 'bad' : '')
  show('refusal', refused ? 'The newest configuration was refused: ' + (reload.reason || 'the log says why') : '')
  $('refusal').hidden = !refused
  const version = node.node + ' ' + (reload ? reload.time : '')
  if ($('config').open && version !== shownConfig)
    ask('config').then(answer => showConfig(answer, version), () => {})
}

const text = list => Array.isArray(list) ? list.join(', ') || 'none' : list

function showConfig(answer, version) {
  shownConfig = version
  rows('routes', answer.routes, route => route.path, (row, route) => texts(row, [
    [route.path, 'name'],
    [text(route.channels), 'name'],
    [text(route.subscribe), 'wide'],
    [route.auth + ', ' + route.access, 'wide'],
    [route.slow, 'wide'],
    [route.compression ? 'on' : 'off', 'wide'],
    [route.history, ''],
    [route.sse, 'wide'],
    [route.source, 'wide'],
  ]))
  rows('options', answer.options, option => option.name, (row, option) => texts(row, [
    [option.name, 'name'],
    [option.value + (option.after_restart === undefined ? '' : ' (after a restart: ' + option.after_restart + ')'), 'name'],
    [option.source, ''],
  ]))
  show('config-note', 'What this gateway goes by; secrets are not shown.')
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
  show('connections-max', count(node.connections_max), node.connections > 0.9 * node.connections_max ? 'warn' : '')
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

// A gateway that was killed says nothing more, and what it said last stays for a while. Clocks may differ, so what counts
// is how long the announcement has been the same here.
function silentFor(node, now) {
  const last = announced.get(node.node)
  if (!last || last.uptime !== node.uptime_seconds) {
    announced.set(node.node, { uptime: node.uptime_seconds, at: now })
    return 0
  }
  return now - last.at
}

function showNodesAway() {
  for (const row of $('nodes').children) {
    const state = row.children[2]
    const own = row.className === 'self'
    state.textContent = own ? 'away' : 'not known'
    state.className = own ? 'bad' : ''
  }
}

// What is there in Redis others wrote: who does not look like a gateway is left out.
function looksLikeGateway(node) {
  return ['node', 'host', 'version'].every(name => typeof node[name] === 'string') &&
    ['port', 'connections', 'uptime_seconds'].every(name => typeof node[name] === 'number') &&
    node.pulse !== null && typeof node.pulse === 'object' &&
    ['events_per_second', 'messages_per_second'].every(name => typeof node.pulse[name] === 'number')
}

function showNodes(answer) {
  const now = performance.now()
  const own = answer.nodes[0].node
  const known = answer.nodes.filter(looksLikeGateway)
  const sorted = known.sort((a, b) => (a.host + a.port).localeCompare(b.host + b.port) || (a.node < b.node ? -1 : 1))
  rows('nodes', sorted, node => node.node, (row, node) => {
    const [state, tone] = silentFor(node, now) > SILENT_MS ? ['silent', 'bad'] : stateOf(node)
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
  announced = new Map([...announced].filter(([node]) => known.some(one => one.node === node)))
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
      row.append(cell(button, 'share'), cell('', 'number'), cell('', 'number'))
    }
    row.firstChild.style.setProperty('--share', (100 * channel.subscribers / most).toFixed(1))
    row.children[1].textContent = channel.users === undefined ? '' : count(channel.users)
    row.lastChild.textContent = count(channel.subscribers)
  })
  const left = answer.total - answer.channels.length
  const match = $('match').value.trim()
  show('channels-note', left > 0 ? 'and ' + count(left) + ' more' : answer.total ? '' :
    match ? 'No channel with “' + match + '” has a subscriber here. Enter opens it all the same.' : 'Nobody is subscribed to anything.')
}

function showSlow(answer) {
  rows('slow', answer.connections, connection => connection.id, (row, connection) => texts(row, [
    [String(connection.id), 'number'],
    [connection.route + (connection.transport === 'websocket' ? '' : ' · ' + connection.transport), 'name'],
    [connection.remote, 'wide'],
    [duration(connection.open_seconds), 'number'],
    [count(connection.subscriptions), 'number wide'],
    [bytes(connection.queued_bytes), 'number'],
    [count(connection.messages_dropped), 'number' + (connection.messages_dropped ? ' warn' : '')],
  ]))
  const left = answer.total - answer.connections.length
  show('slow-note', left > 0 ? 'and ' + count(left) + ' more' : answer.total ? '' : 'Nobody is connected.')
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

// The newest first.
function addEvents(lines, fresh) {
  const items = lines.map(line => {
    const item = document.createElement('li')
    item.textContent = line
    item.className = fresh ? 'fresh' : ''
    return item
  })
  $('channel-events').prepend(...items.reverse())
  while ($('channel-events').children.length > EVENTS_MAX)
    $('channel-events').lastChild.remove()
  if (fresh)
    setTimeout(() => items.forEach(item => item.className = ''), 1500)
}

// Of many thousands of events a second nobody reads more than the last few, and the page has to stay usable: each look
// shows the newest, and says how many there were.
function gatherer(controller) {
  let newest = [], n = 0, timer = null
  const look = () => {
    timer = null
    if (controller.signal.aborted)
      return
    addEvents(newest, true)
    show('channel-note', n > newest.length ? count(n) + ' events in the last moment, the newest are shown.' : '')
    newest = []
    n = 0
  }
  return (line, further) => {
    n += further
    newest.push(line)
    if (newest.length > EVENTS_MAX)
      newest.shift()
    timer = timer || setTimeout(look, EVENTS_MS)
  }
}

// The last lines of a piece of text, and how many it has; most are only counted.
function lastLines(piece, most) {
  const lines = []
  let n = 0
  for (let end = piece.length; end > 0;) {
    const begin = piece.lastIndexOf('\n', end - 1)
    if (begin + 1 < end) {
      n++
      if (lines.length < most)
        lines.push(piece.slice(begin + 1, end))
    }
    end = begin
  }
  return { lines: lines.reverse(), n }
}

async function listen(name, controller) {
  try {
    const answer = await fetch('tail?channel=' + encodeURIComponent(name), { headers: headers(), signal: controller.signal })
    if (!answer.ok)
      throw new Error('status ' + answer.status)
    show('channel-tail', 'live', 'good')
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
    const gather = gatherer(controller)
    let rest = ''
    for (;;) {
      const { value, done } = await reader.read()
      if (done)
        break
      const all = rest + value
      const whole = all.lastIndexOf('\n') + 1
      const { lines, n } = lastLines(all.slice(0, whole), EVENTS_MAX)
      rest = all.slice(whole)
      lines.forEach((line, i) => gather(line, i ? 1 : 1 + n - lines.length))
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
    addEvents(answer.events.reverse().map(event => JSON.stringify(event)), false)
    if (answer.events.length)
      show('channel-note', '')
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
  showReload(own)
  showTiles(own)
  showNodes(nodes)
  await Promise.all([
    polls++ % CHANNELS_EVERY === 0 && ask(channelsPath()).then(showChannels),
    ask('connections?limit=10&sort=' + $('sort').value).then(showSlow),
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
  showNodesAway()
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
function leaveChannel() {
  closeChannel()
  $('match').focus()
}

// A link shows no token: what it leads to is fetched, and offered as a file.
$('asyncapi').addEventListener('click', async event => {
  if (!sessionStorage.getItem('tidegate-token'))
    return
  event.preventDefault()
  const copy = document.createElement('a')
  copy.href = URL.createObjectURL(new Blob([JSON.stringify(await ask('asyncapi.json'), null, 2)], { type: 'application/json' }))
  copy.download = 'asyncapi.json'
  copy.click()
  URL.revokeObjectURL(copy.href)
})

$('channel-close').addEventListener('click', leaveChannel)
document.addEventListener('keydown', event => {
  if (event.key === 'Escape' && shownChannel && !event.isComposing && !$('login').open)
    leaveChannel()
})
$('sort').addEventListener('change', turn)
$('config').addEventListener('toggle', () => $('config').open && turn())
document.addEventListener('visibilitychange', () => document.hidden || turn())
turn()

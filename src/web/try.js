// A page to try endpoints with: opens a WebSocket, shows what comes, sends what is typed. The admin port serves it because
// browsers may not let a page connect to a machine's own ports, be it another site's or an empty tab.
'use strict'

const MESSAGES_MAX = 200
const SHOW_MS = 100 // however much comes, the page changes this often

const $ = id => document.getElementById(id)
let socket = null
let waiting = [] // messages that are not shown yet, the oldest first
let timer = null

function state(text, tone) {
  $('state').textContent = text
  $('state').className = 'pill ' + tone
}

function showWaiting() {
  timer = null
  const items = waiting.map(text => {
    const item = document.createElement('li')
    item.textContent = text
    return item
  })
  waiting = []
  $('messages').prepend(...items.reverse())
  while ($('messages').children.length > MESSAGES_MAX)
    $('messages').lastChild.remove()
  $('note').textContent = ''
}

function hear(text) {
  waiting.push(text)
  if (waiting.length > MESSAGES_MAX)
    waiting.shift()
  timer = timer || setTimeout(showWaiting, SHOW_MS)
}

function open(url) {
  close()
  try {
    socket = new WebSocket(url)
  } catch (error) {
    state('not an address of a WebSocket', 'bad')
    return
  }
  const own = socket
  state('connecting', 'warn')
  own.onopen = () => own === socket && state('open', 'good')
  own.onmessage = message => own === socket && hear(typeof message.data === 'string' ? message.data : '(binary)')
  own.onclose = event => own === socket && state('closed ' + event.code + (event.reason ? ' ' + event.reason : ''), 'bad')
}

function close() {
  const old = socket
  socket = null
  if (old)
    old.close()
  state('closed', '')
}

$('open').addEventListener('submit', event => {
  event.preventDefault()
  open($('url').value.trim())
})
$('close').addEventListener('click', close)
$('say').addEventListener('submit', event => {
  event.preventDefault()
  if (socket && socket.readyState === WebSocket.OPEN)
    socket.send($('text').value)
  else
    state('not connected', 'bad')
})

// Where this gateway's clients connect. Without the token it is a guess, which can be changed.
async function guess() {
  let port = 8080, scheme = 'ws://'
  const token = sessionStorage.getItem('tidegate-token')
  try {
    const answer = await fetch('status', token ? { headers: { Authorization: 'Bearer ' + token } } : {})
    const told = await answer.json()
    port = told.port || port
    scheme = told.tls ? 'wss://' : scheme
  } catch (error) {
    // The guess it is.
  }
  if (!$('url').value)
    $('url').value = scheme + location.hostname + ':' + port + '/ws/cards'
}

guess()

#!lua name=tidegate
-- Tidegate: the log of a channel, kept in Redis.
--
-- Gateways load this library by themselves where their rights allow it. By hand:
--
--   tidegate functions | redis-cli -x FUNCTION LOAD REPLACE
--
-- Backends publish to channel `cards`, 1,000 entries kept for a day without use, a repeated `order-7` known for two
-- minutes (the last key and the last argument may both be left out; the epoch is 8 random letters, drawn anew for each
-- call):
--
--   FCALL tidegate_publish 3 tg:s:{cards} tg:m:{cards} tg:i:{cards}:order-7
--     '{"type":"moved"}' cards publish 1001 86400000 kJdQaXwB 120000
--
-- and are answered with the entry's id, 1 if it was there already, and the log's epoch. tidegate_publish_all takes more
-- payloads behind the last argument, which then may not be left out, and answers the id of the last: the others have the
-- offsets before it and the same tag, and one key stands for all of them. Rights that this needs:
--
--   resetchannels &cards ~tg:*:{cards}* -@all +fcall +hmget +hset +get +set +xadd +pexpire +del +time +publish
--   +spublish +ping
--
-- A gateway needs +xrange +subscribe +unsubscribe besides, the channel of its probe, &tidegate:probe:*, and
-- +function|load to load the library; and for the list of nodes +sadd +srem +sscan +getrange on ~tg:{nodes}*. (A
-- channel_prefix stands before `tidegate:probe` and behind the brace.) docs/redis.md has all of it in one line to copy.
-- Servers without functions are given the same text as a script; nothing here may rely on more than Redis 5 has without
-- asking for it.

local VERSION = 11
local BYTES = 4194304 -- of payloads in one answer, unless told otherwise
local PART = 100 -- entries fetched at once: what is left out for its size was not copied either
local TTL_MIN = 30000 -- milliseconds
local TTL_EMPTY = 60000 -- of a log without entries, which readers keep up
local NEW_LIVES = 20000 -- one that was begun a moment ago: anybody may name a channel, and leave
local NEW_FOR = 5000 -- so long it counts as that; whoever still listens reads it every eight seconds
local FIELDS = 8 -- names and values of an entry that is answered whole; ours have two
-- As a script it may run beside an older version of itself, which sets expiries in its own way and says so in fields of
-- its own, or not at all: then nothing that stands in the meta about them is believed.
local IS_LIBRARY = redis.register_function ~= nil

-- The log lives for ttl from now on, or up to a quarter longer: so publishing need not set the expiry anew before that
-- quarter is over: until when it was set stands in the meta, so another ttl counts at once, and a clock that was set does no
-- harm. A shorter ttl than TTL_MIN counts as that: gateways read the log of a channel that somebody listens to
-- every eight seconds, and it must not expire in between.
local function lives(ttl)
  return (ttl > TTL_MIN and ttl or TTL_MIN) * 1.25
end

-- False: there is no stream.
local function touch(k, ttl)
  local text = string.format('%.0f', lives(ttl))
  redis.call('PEXPIRE', k[2], text)
  return redis.call('PEXPIRE', k[1], text) == 1
end

-- Seconds, and six digits of microseconds.
local function now_text()
  local now = redis.call('TIME')
  local us = now[2]
  while #us < 6 do
    us = '0' .. us
  end
  return now[1], us
end

local function now_ms()
  local seconds, us = now_text()
  return seconds * 1000 + math.floor(us / 1000)
end

-- Under this key something was published before. The answer if that is in the log, or was until it was trimmed. The log may
-- have been deleted or have expired since, or its stream alone (or it was evicted): then it is not there, or begins behind that
-- entry, and the retry is a publication like any other.
local function known(k, epoch, was, ttl)
  local id, its_epoch = string.match(was, '^(%S+) (%S+)$')
  if not epoch or (its_epoch and its_epoch ~= epoch) then
    return nil
  end
  local first = tonumber(redis.call('HMGET', k[2], 'f')[1] or nil) or 1
  local is_there = tonumber(string.match(id or was, '^%d+')) >= first and touch(k, ttl)
  return is_there and {id or was, 1, its_epoch} or nil
end

-- True if there was no stream to append to: the log begins, or its stream has been deleted alone.
local function append(k, size, id, payload, ttl)
  local is_first = true
  if not IS_LIBRARY then
    is_first = not touch(k, ttl)
  elseif redis.call('XADD', k[1], 'NOMKSTREAM', 'MAXLEN', '~', size, id, 'd', payload) then
    return false
  end
  redis.call('XADD', k[1], 'MAXLEN', '~', size, id, 'd', payload)
  return is_first
end

-- Was the expiry set for this ttl, and not so long ago that it must be set anew?
local function is_kept(m, now, most)
  local left = (tonumber(m[4] or nil) or 0) - now
  return not IS_LIBRARY or (left >= most * 0.8 and left <= most + 1) -- it was set in whole milliseconds
end

-- The payloads behind the first one, which has offset n. Answers the offset and the id of the last.
local function append_more(k, a, n, tag, ttl)
  local offset, id
  for i = 8, #a do
    offset = string.format('%.0f', n + i - 7)
    id = offset .. '-' .. tag
    append(k, a[4], id, a[i], ttl)
  end
  return offset, id
end

local function push_more(a, n, tag, epoch)
  local rest = '-' .. tag .. ' ' .. tag .. ' ' .. epoch .. '\n'
  for i = 8, #a do
    redis.call(a[3], a[2], string.format('\1%.0f', n + i - 7) .. rest .. a[i])
  end
end

-- KEYS stream, meta [, idem]
-- ARGV payload, channel, publish|spublish, maxlen, ttl_ms, fresh_epoch [, idem_ttl_ms [, payload...]]
-- Answers the id of the last payload, whose tag all of them have, 1 if they were there already, else 0, and the epoch. What is
-- called, read or printed here each publication pays for (docs/performance.md, History).
local function publish(k, a)
  local call, may, format = redis.call, redis.acl_check_cmd, string.format
  -- Before any effect: what was written is not taken back when a later command is denied.
  if may and not may(a[3], a[2], '') then
    return redis.error_reply('NOPERM tidegate: this user may not publish to the channel')
  end
  if a[8] and not tonumber(a[7]) then
    return redis.error_reply('ERR tidegate: the payloads behind the first one come behind idem_ttl_ms')
  end
  local ttl, was = a[5] + 0, k[3] and call('GET', k[3])
  local m = call('HMGET', k[2], 'e', 'n', 't', 'u')
  local answer = was and known(k, m[1], was, ttl)
  if answer then
    return answer -- a retry: the same id, no second push
  end
  local seconds, us = now_text()
  local now, tag = seconds * 1000 + us / 1000, seconds .. us
  local epoch, n, prev = m[1], tonumber(m[2] or nil), m[3]
  if not (epoch and n and prev) then
    epoch, n, prev = a[6], 0, '0'
    call('DEL', k[1], k[2]) -- never mix epochs
  end
  n = n + 1
  local first = format('%.0f', n) -- not tostring: it has an exponent above 1e14
  local id = first .. '-' .. tag
  local is_first, most = append(k, a[4], id, a[1], ttl), lives(ttl)
  local last, last_id = first, id
  if a[8] then
    last, last_id = append_more(k, a, n, tag, ttl)
  end
  if not is_first and is_kept(m, now, most) then
    call('HSET', k[2], 'n', last, 't', tag)
  else
    call('HSET', k[2], 'e', epoch, 'n', last, 't', tag, 'u', format('%.0f', now + most))
    touch(k, ttl)
  end
  if is_first and first ~= '1' then
    call('HSET', k[2], 'f', first) -- what came before has been deleted
  end
  call(a[3], a[2], '\1' .. id .. ' ' .. prev .. ' ' .. epoch .. '\n' .. a[1])
  if a[8] then
    push_more(a, n, tag, epoch)
  end
  if k[3] then
    call('SET', k[3], last_id .. ' ' .. epoch, 'PX', a[7])
  end
  return {last_id, 0, epoch}
end

-- KEYS stream, meta
-- ARGV from_offset, count, fresh_epoch, ttl_ms [, bytes_max]
-- The last entry may pass bytes_max, and there are always two if the log has them: the one that the reader knows and
-- the next. Otherwise nobody would ever get past a large one. Of an entry that is none of ours, with very many fields, only
-- the id is answered: a gateway takes no answer of more values than it can have asked for.
-- The first reader begins the log, so that all who stand before its first entry stand at the same place, and can come back
-- to it (docs/decisions/0015-reading-begins-a-log.md). Anybody may read names that nobody publishes to, so without entries it
-- lives for a short time only.
local function begin(k, a)
  redis.call('DEL', k[1], k[2])
  local now = now_ms()
  redis.call('HSET', k[2], 'e', a[3], 'n', '0', 't', '0', 'u', string.format('%.0f', now))
  redis.call('PEXPIRE', k[2], NEW_LIVES)
  return {a[3], '0', '0'}
end

-- Read, so it lives on. Without entries 'u' says when it was begun.
local function keep(k, m, ttl)
  if m[2] ~= '0' then
    touch(k, ttl)
    if m[4] ~= '0' then
      redis.call('HSET', k[2], 'u', '0') -- a reader needs no clock: the next publication sets it
    end
    return
  end
  local age = now_ms() - (tonumber(m[4] or nil) or 0)
  if age < 0 or age >= NEW_FOR then
    touch(k, math.min(ttl, TTL_EMPTY))
  else
    redis.call('PEXPIRE', k[2], NEW_LIVES - age) -- once more: it may have been refused when the log was begun
  end
end

local function read(k, a)
  local m = redis.call('HMGET', k[2], 'e', 'n', 't', 'u')
  if m[1] and tonumber(m[2] or nil) and m[3] then
    keep(k, m, a[4] + 0)
  else
    m = begin(k, a)
  end
  local entries, n, from = {}, 0, a[1]
  local left, bytes = tonumber(a[2]), tonumber(a[5] or BYTES)
  while left > 0 and (bytes > 0 or n < 2) do
    local wanted = math.min(left, PART)
    local part = redis.call('XRANGE', k[1], from .. '-0', '+', 'COUNT', wanted)
    for i = 1, #part do
      local fields = part[i][2]
      n = n + 1
      entries[n] = part[i]
      if #fields > FIELDS then
        part[i][2] = {}
      end
      for j = 2, #fields, 2 do
        bytes = bytes - #fields[j]
      end
      if bytes <= 0 and n > 1 then
        break
      end
    end
    if #part < wanted then
      break
    end
    left = left - wanted
    from = string.format('%.0f', string.match(part[wanted][1], '^%d+') + 1)
  end
  return {m[1], m[2], m[3], entries}
end

-- KEYS stream of actions
-- ARGV backlog, then for each action: timeout_ms, id, conn, user, route, vars, key, data, reply
-- What clients ask of a backend (docs/actions.md). Workers take what they have answered out of the stream, so its length is
-- what waits. Above `backlog` nothing is appended. Answers 'busy' if nothing was, the entry's id for the only action, and else
-- how many were appended: the first so many.
local function action(k, a)
  local room = a[1] - redis.call('XLEN', k[1])
  if room < 1 then
    return 'busy'
  end
  local n, now = math.min(room, (#a - 1) / 9), now_ms()
  local entry, timeout, deadline
  for at = 2, 9 * n, 9 do
    if a[at] ~= timeout then -- the same for most
      timeout, deadline = a[at], string.format('%.0f', now + a[at])
    end
    entry = redis.call('XADD', k[1], '*', 'id', a[at + 1], 'conn', a[at + 2], 'user', a[at + 3], 'route', a[at + 4], 'vars',
      a[at + 5], 'key', a[at + 6], 'data', a[at + 7], 'reply', a[at + 8], 'deadline', deadline)
  end
  return #a == 10 and entry or n
end

-- Who is on a channel (docs/presence.md). A node says how many connections of a user it has, and not how many more, so a call
-- that is repeated changes nothing. `tg:q:{channel}` has one field a user: connections on all nodes, a blank, a JSON object that
-- says who it is. The user '' stands for all connections without one.
local function total_of(value)
  local n, text = string.match(value or '', '^(%d+) ?(.*)$')
  return tonumber(n or 0), text or ''
end

-- Users, and connections without one.
local function count_present(key)
  local strangers = total_of(redis.call('HGET', key, '') or nil)
  return redis.call('HLEN', key) - (strangers > 0 and 1 or 0), strangers
end

local function tell_presence(k, a, joined, left)
  local names, users, strangers = '', count_present(k[2])
  if a[6] ~= '' then
    names = '"joined":[' .. table.concat(joined, ',') .. '],"left":[' .. table.concat(left, ',') .. '],'
  end
  local event = string.format('{"type":"presence_changed","data":{%s"n_users":%d,"n_anonymous":%d}}', names, users, strangers)
  -- Anybody may be on a channel that nobody publishes to: it must not get a log that lives for long by that.
  local n = a[3] ~= '0' and redis.call('HGET', k[4], 'n')
  if n and n ~= '0' then
    publish({k[3], k[4]}, {event, a[1], a[2], a[3], a[4], a[5]})
  else
    redis.call(a[2], a[1], event)
  end
end

-- The user's connections on this node, and so on all. What they were on all, and who it is.
local function set_present(k, user, n, text)
  local was = tonumber(redis.call('HGET', k[1], user) or nil) or 0
  local total, known = total_of(redis.call('HGET', k[2], user) or nil)
  local now = math.max(total - was + n, 0)
  if text == '' then
    text = known
  end
  if n > 0 then
    redis.call('HSET', k[1], user, n)
  elseif was > 0 then
    redis.call('HDEL', k[1], user)
  end
  if now > 0 then
    redis.call('HSET', k[2], user, string.format('%.0f ', now) .. text)
  elseif total > 0 then
    redis.call('HDEL', k[2], user)
  end
  return total, now, text
end

-- KEYS who is here by this node, by all, stream, meta
-- ARGV channel, publish|spublish or '' (nobody is told), maxlen (0: the channel has no log), ttl_ms, fresh_epoch, names or '',
--   then for each user: the user, its connections on this node from now on, a JSON object of it
-- Answers users, connections without one, and how many users came and went over all nodes.
local function presence(k, a)
  -- Before any effect, as above.
  if a[2] ~= '' and redis.acl_check_cmd and not redis.acl_check_cmd(a[2], a[1], '') then
    return redis.error_reply('NOPERM tidegate: this user may not publish to the channel')
  end
  local joined, left, changed = {}, {}, false
  for i = 7, #a, 3 do
    local total, now, text = set_present(k, a[i], a[i + 1] + 0, a[i + 2])
    if a[i] == '' then
      changed = changed or now ~= total
    elseif total == 0 and now > 0 then
      joined[#joined + 1] = text
    elseif total > 0 and now == 0 then
      left[#left + 1] = text
    end
  end
  if a[2] ~= '' and (changed or #joined > 0 or #left > 0) then
    tell_presence(k, a, joined, left)
  end
  local users, strangers = count_present(k[2])
  return {users, strangers, #joined, #left}
end

-- KEYS as above
-- ARGV six as above, cursor, count
-- Takes out some of what a dead node left. The answer as above, and the cursor of the next call, which is 0 when there is no more.
local function leave(k, a)
  local part = redis.call('HSCAN', k[1], a[7], 'COUNT', a[8])
  local words = {a[1], a[2], a[3], a[4], a[5], a[6]}
  for i = 1, #part[2], 2 do
    words[#words + 1] = part[2][i]
    words[#words + 1] = '0'
    words[#words + 1] = ''
  end
  local answer = presence(k, words)
  if not answer.err then
    answer[5] = part[1]
  end
  return answer
end

-- KEYS who is here by all nodes
-- ARGV users, bytes of them at most
-- Answers users, connections without one, and the first of the users as JSON objects with commas between.
local function present(k, a)
  local users, strangers = count_present(k[1])
  local texts, bytes, cursor = {}, a[2] + 0, '0'
  repeat
    local part = redis.call('HSCAN', k[1], cursor, 'COUNT', PART)
    cursor = part[1]
    for i = 1, #part[2], 2 do
      local _, text = total_of(part[2][i + 1])
      bytes = bytes - #text - 1
      if bytes > 0 and #texts < a[1] + 0 and part[2][i] ~= '' then
        texts[#texts + 1] = text
      end
    end
  until cursor == '0' or bytes <= 0 or #texts >= a[1] + 0
  return {users, strangers, table.concat(texts, ',')}
end

-- A node that is there says so again and again, and has a lease for so long. What it is about to put into Redis and somebody
-- has to take out if it dies stands in a set of its own.
-- KEYS leases, dead: sorted sets of nodes, by the time on Redis' clock when a lease ends, or a claim on a dead one
-- ARGV renew, node, ttl_ms, first|again, judge|, claim_ms, claimed
--        Answers 1 or, for one whose lease has ended and was seen by others, 0; and the dead node that is the caller's to clear up,
--        for claim_ms. judge: expired leases are found out, which only a caller should who was connected for longer than a
--        lease. claimed: one that the caller is busy with.
--      end, node, in_ms: then it is to be cleared up, even if Redis has lost its lease
--      cleared, node
--        Answers 2 if that one had ended by itself, which stands in its score as half a millisecond.
--      missed, node...: they hold something on another server. Those of whom no lease is known are to be cleared up. Answers how many.
local function lease(k, a)
  local now = now_ms()
  local function claim(node, until_ms)
    local half = (redis.call('ZSCORE', k[2], node) or 0) % 1
    return redis.call('ZADD', k[2], 'XX', string.format('%.1f', until_ms + half), node)
  end
  if a[1] == 'cleared' then
    local half = (redis.call('ZSCORE', k[2], a[2]) or 0) % 1
    redis.call('ZREM', k[2], a[2])
    return half > 0 and 2 or 1
  elseif a[1] == 'end' then
    redis.call('ZREM', k[1], a[2])
    return redis.call('ZADD', k[2], string.format('%.1f', now + a[3] + 0.5), a[2])
  elseif a[1] == 'missed' then
    local n = 0
    for i = 2, #a do
      if not redis.call('ZSCORE', k[1], a[i]) then
        n = n + redis.call('ZADD', k[2], 'NX', string.format('%.0f', now), a[i])
      end
    end
    return n
  end
  if a[4] ~= 'first' and not redis.call('ZSCORE', k[1], a[2]) then
    return {0, ''}
  end
  redis.call('ZADD', k[1], string.format('%.0f', now + a[3]), a[2])
  if a[5] == 'judge' then
    local late = redis.call('ZRANGEBYSCORE', k[1], '-inf', string.format('%.0f', now), 'LIMIT', 0, PART)
    for i = 1, #late do
      redis.call('ZREM', k[1], late[i])
      redis.call('ZADD', k[2], string.format('%.0f', now), late[i])
    end
  end
  if a[7] ~= '' then
    claim(a[7], now + a[6])
    return {1, ''}
  end
  local dead = redis.call('ZRANGEBYSCORE', k[2], '-inf', string.format('%.0f', now), 'LIMIT', 0, 1)
  if not dead[1] then
    return {1, ''}
  end
  claim(dead[1], now + a[6])
  return {1, dead[1]}
end

-- KEYS a node's set [, the set of nodes that hold something on this server, one of several]
-- ARGV add|remove, name...; or some, count
local function holds(k, a)
  if a[1] == 'some' then
    return redis.call('SRANDMEMBER', k[1], a[2])
  end
  if k[2] then
    redis.call('SADD', k[2], string.match(k[1], '{(.*)}'))
  end
  return redis.call(a[1] == 'add' and 'SADD' or 'SREM', k[1], unpack(a, 2))
end

-- Who comes and goes, and which channels are occupied, as entries of a stream (docs/lifecycle.md). A node says what is so: what
-- is there already, or has gone already, is not said again. What it has is remembered in a hash of its own, so that somebody
-- can say it of a node that died:
--   a connection's number   'tenure mask L M USER ROUTE VARS', where L and M are the lengths of user and route
--   '#' and a channel       'tenure mask'
--   ''                      'tenure call size': the last call that was carried out, so that one of which nobody knows what
--                           became of it can be repeated
-- A tenure is the number behind the last dot of the name under which the node held its lease when it said so.
local SAID_FOR = 86400000 -- so long the last call is known of a node that has nothing any more: it may only be cut off
local CONNECTED, DISCONNECTED, OCCUPIED, VACATED = 1, 2, 4, 8

local function has(mask, event)
  return math.floor(mask / event) % 2 == 1
end

-- s: what all entries of one call share.
local function append_event(s, ...)
  redis.call('XADD', s.k[1], 'MAXLEN', '~', s.size, '*', ...)
  s.n = s.n + 1
end

local function connection_of(text)
  local user_len, route_len, at = string.match(text, '^(%d+) (%d+) ()')
  local route_at = at + user_len
  local vars_at = route_at + route_len
  return string.sub(text, at, route_at - 1), string.sub(text, route_at, vars_at - 1), string.sub(text, vars_at)
end

local function appears(s, name, age, mask, text)
  local value = s.tenure .. ' ' .. mask .. (text == '' and '' or ' ' .. text)
  if redis.call('HSET', s.k[2], name, value) == 0 then
    return
  end
  local at = string.format('%.0f', s.now - age)
  if string.byte(name) ~= 35 then
    if has(mask, CONNECTED) then
      local user, route, vars = connection_of(text)
      append_event(s, 'event', 'connected', 'conn', s.node .. '.' .. name, 'user', user, 'route', route, 'vars', vars, 'at', at,
        'node', s.node)
    end
  elseif redis.call('HINCRBY', s.k[3], string.sub(name, 2), 1) == 1 and has(mask, OCCUPIED) then
    append_event(s, 'event', 'occupied', 'channel', string.sub(name, 2), 'at', at, 'node', s.node)
  end
end

local function goes(s, name, value, age, code, reason)
  redis.call('HDEL', s.k[2], name)
  local mask, text = string.match(value, '^%d+ (%d+) ?(.*)$')
  local at = string.format('%.0f', s.now - age)
  if string.byte(name) ~= 35 then
    if has(mask, DISCONNECTED) then
      local user, route, vars = connection_of(text)
      append_event(s, 'event', 'disconnected', 'conn', s.node .. '.' .. name, 'user', user, 'route', route, 'vars', vars, 'at',
        at, 'node', s.node, 'code', code, 'reason', reason)
    end
    return
  end
  local channel = string.sub(name, 2)
  if redis.call('HINCRBY', s.k[3], channel, -1) <= 0 then
    redis.call('HDEL', s.k[3], channel)
    if has(mask, VACATED) then
      append_event(s, 'event', 'vacated', 'channel', channel, 'at', at, 'node', s.node)
    end
  end
end

-- Before any effect: what was written is not taken back when a later command is denied, or finds a key of another kind.
local function refused(k)
  if redis.acl_check_cmd and not redis.acl_check_cmd('XADD', k[1], '*', 'event', '') then
    return redis.error_reply('NOPERM tidegate: this user may not append to the stream')
  end
  redis.call('XLEN', k[1])
end

-- KEYS stream, what the node has, channels: on how many nodes each is occupied
-- ARGV node, tenure, call, size, forgot or '', then for each that came ('+') or went ('-') seven words:
--   + or -, a connection's number or '#' and a channel, how many milliseconds ago, mask of events, text, code, reason
-- forgot: this Redis does not know all calls from before the present tenure. Then an end is said that it knows no beginning of,
-- where its text is given. Answers how many entries that made, and 1 if calls are missing here, else 0.
local function session(k, a)
  local no = refused(k)
  if no then
    return no
  end
  local s = {k = k, node = a[1], tenure = a[2], size = a[4], now = now_ms(), n = 0}
  local last = tonumber(string.match(redis.call('HGET', k[2], '') or '', '^%d+ (%d+)') or 0)
  if last >= a[3] + 0 then
    return {0, 0}
  end
  local forgot = a[5] ~= '' or last < a[3] - 1
  redis.call('HSET', k[2], '', a[2] .. ' ' .. a[3] .. ' ' .. a[4])
  redis.call('PERSIST', k[2])
  for i = 6, #a, 7 do
    local name, age, mask, text = a[i + 1], a[i + 2], a[i + 3], a[i + 4]
    if a[i] == '+' then
      appears(s, name, age, mask, text)
    else
      local value = redis.call('HGET', k[2], name) or (forgot and text ~= '' and s.tenure .. ' ' .. mask .. ' ' .. text)
      if value then
        goes(s, name, value, age, a[i + 5], a[i + 6])
      end
    end
  end
  return {s.n, forgot and 1 or 0}
end

-- KEYS as above
-- ARGV node, tenure, cursor, count, size of the stream unless the node had said one
-- Says of some of what a dead node had that it is lost. Under another name the node may be there again: what it said under that
-- one stays. Answers how many connections and channels these were, and the cursor of the next call, which is '0' when there
-- is no more.
local function lost(k, a)
  local no = refused(k)
  if no then
    return no
  end
  local s = {k = k, node = a[1], now = now_ms(), n = 0}
  s.size = string.match(redis.call('HGET', k[2], '') or '', '^%d+ %d+ (%d+)') or a[5]
  local part = redis.call('HSCAN', k[2], a[3], 'COUNT', a[4])
  local connections, channels = 0, 0
  for i = 1, #part[2], 2 do
    local name, value = part[2][i], part[2][i + 1]
    if name ~= '' and string.match(value, '^%d+') == a[2] then
      goes(s, name, value, 0, '1006', 'node_lost')
      local is_channel = string.byte(name) == 35
      connections = connections + (is_channel and 0 or 1)
      channels = channels + (is_channel and 1 or 0)
    end
  end
  if part[1] == '0' and redis.call('HLEN', k[2]) <= 1 then
    redis.call('PEXPIRE', k[2], SAID_FOR)
  end
  return {connections, channels, part[1]}
end

if redis.register_function then
  redis.register_function('tidegate_publish', publish)
  redis.register_function('tidegate_publish_all', publish)
  redis.register_function('tidegate_read', read)
  redis.register_function('tidegate_action', action)
  redis.register_function('tidegate_presence', presence)
  redis.register_function('tidegate_leave', leave)
  redis.register_function({function_name = 'tidegate_present', callback = present, flags = {'no-writes'}})
  redis.register_function('tidegate_lease', lease)
  redis.register_function('tidegate_holds', holds)
  redis.register_function('tidegate_session', session)
  redis.register_function('tidegate_lost', lost)
  redis.register_function({
    function_name = 'tidegate_version',
    callback = function() return VERSION end,
    flags = {'no-writes'}
  })
end

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
-- and are answered with the entry's id, 1 if it was there already, and the log's epoch. Rights that this needs:
--
--   resetchannels &cards ~tg:*:{cards}* -@all +fcall +hmget +hset +get +set +xadd +pexpire +del +time +publish
--   +spublish +ping
--
-- A gateway needs +xrange besides, and +function|load to load the library; and for the list of nodes +smembers +sadd +srem
-- +mget, on ~tg:{nodes}* (a channel_prefix stands behind the brace). Servers without functions are given the same
-- text as a script; nothing here may rely on more than Redis 5 has without asking for it.

local VERSION = 1
local BYTES = 4194304 -- of payloads in one answer, unless told otherwise
local PART = 100 -- entries fetched at once: what is left out for its size was not copied either
local FIELDS = 8 -- names and values of an entry that is answered whole; ours have two

local function touch(k, ttl)
  redis.call('PEXPIRE', k[1], ttl)
  redis.call('PEXPIRE', k[2], ttl)
end

-- KEYS stream, meta [, idem]
-- ARGV payload, channel, publish|spublish, maxlen, ttl_ms, fresh_epoch [, idem_ttl_ms]
local function publish(k, a)
  -- Before any effect: what was written is not taken back when a later command is denied.
  if redis.acl_check_cmd and not redis.acl_check_cmd(a[3], a[2], '') then
    return redis.error_reply('NOPERM tidegate: this user may not publish to the channel')
  end
  if k[3] then
    local was = redis.call('GET', k[3])
    if was then
      local id, epoch = string.match(was, '^(%S+) (%S+)$')
      return {id or was, 1, epoch} -- a retry: the same id, no second push
    end
  end
  local m = redis.call('HMGET', k[2], 'e', 'n', 't', 'x')
  local now = redis.call('TIME')
  local tag = now[1] .. string.format('%06d', now[2])
  local epoch, n, prev = m[1], tonumber(m[2] or nil), m[3]
  if not (epoch and n and prev) then
    epoch, n, prev, m[4] = a[6], 0, '0', false
    redis.call('DEL', k[1]) -- never mix epochs
  end
  n = string.format('%.0f', n + 1) -- not tostring: it has an exponent above 1e14
  local id = n .. '-' .. tag
  redis.call('XADD', k[1], 'MAXLEN', '~', a[4], id, 'd', a[1])
  if m[4] and (now[1] - m[4]) * 4000 < tonumber(a[5]) then
    redis.call('HSET', k[2], 'n', n, 't', tag)
  else -- the expiry is set anew when a quarter of it is over
    redis.call('HSET', k[2], 'e', epoch, 'n', n, 't', tag, 'x', now[1])
    touch(k, a[5])
  end
  redis.call(a[3], a[2], '\1' .. id .. ' ' .. prev .. ' ' .. epoch .. '\n' .. a[1])
  if k[3] then
    redis.call('SET', k[3], id .. ' ' .. epoch, 'PX', a[7])
  end
  return {id, 0, epoch}
end

-- KEYS stream, meta
-- ARGV from_offset, count, fresh_epoch, ttl_ms [, bytes_max]
-- The last entry may pass bytes_max, and there are always two if the log has them: the one that the reader knows and
-- the next. Otherwise nobody would ever get past a large one. Of an entry that is none of ours, with very many fields, only
-- the id is answered: a gateway takes no answer of more values than it can have asked for.
local function read(k, a)
  local m = redis.call('HMGET', k[2], 'e', 'n', 't')
  if not (m[1] and tonumber(m[2] or nil) and m[3]) then
    redis.call('DEL', k[1])
    m = {a[3], '0', '0'}
    redis.call('HSET', k[2], 'e', a[3], 'n', '0', 't', '0', 'x', '0')
  end
  touch(k, a[4])
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

if redis.register_function then
  redis.register_function('tidegate_publish', publish)
  redis.register_function('tidegate_read', read)
  redis.register_function({
    function_name = 'tidegate_version',
    callback = function() return VERSION end,
    flags = {'no-writes'}
  })
end

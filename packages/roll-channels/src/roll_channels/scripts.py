"""Scripts: what Redis does in one step, with the keys of a channel.

Each channel has a hash with its epoch, its offset, and the bytes published in this
epoch; and a stream with its history, where the message of offset 5 has the id `5-0`.
For presence it has the leases of joins, sorted by their end, and two hashes by member:
how many joins there are, and the info of the last one.
"""

from dataclasses import dataclass, field
from hashlib import sha1

# What more than one script does. A script that begins with it has these arguments
# first: a new epoch, history, history_bytes, and the milliseconds that the history and
# the hash live; 0 means forever.
_PUBLISH = """
local fresh, history, most = ARGV[1], ARGV[2], tonumber(ARGV[3])

local function live(key, argument)
    if ARGV[argument] ~= "0" then
        redis.call("PEXPIRE", key, ARGV[argument])
    end
end

local function begin(meta, stream)
    redis.call("DEL", meta, stream)
    redis.call("HSET", meta, "epoch", fresh, "offset", 0, "bytes", 0)
    return fresh
end

local function publish(meta, stream, kind, event, data)
    local epoch = redis.call("HGET", meta, "epoch") or begin(meta, stream)
    local offset, bytes
    local function add()
        offset = string.format("%.0f", redis.call("HINCRBY", meta, "offset", 1))
        bytes = redis.call("HINCRBY", meta, "bytes", #data + #event)
        return redis.pcall("XADD", stream, "MAXLEN", "~", history, offset .. "-0",
            "epoch", epoch, "before", bytes - #data - #event,
            "kind", kind, "event", event, "data", data)
    end
    local added = add()
    if type(added) == "table" and added.err then
        -- The stream is another's, or has ids that are not ours.
        epoch = begin(meta, stream)
        added = add()
        if type(added) == "table" and added.err then error(added.err) end
    end
    while bytes > most do
        local first = redis.call("XRANGE", stream, "-", "+", "COUNT", 1)[1]
        local before = tonumber(first[2][4])
        if before and bytes - before <= most then break end
        redis.call("XDEL", stream, first[1])
    end
    live(stream, 4)
    live(meta, 5)
    return epoch .. "-" .. offset
end
"""

# Its keys: leases, counts, infos, and the hash and the stream of `<name>:presence`.
_PRESENCE = (
    _PUBLISH
    + """
local leases, counts, infos = KEYS[1], KEYS[2], KEYS[3]
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function leave(token)
    if redis.call("ZREM", leases, token) == 1 then
        local member = string.sub(token, 17)
        if redis.call("HINCRBY", counts, member, -1) < 1 then
            redis.call("HDEL", counts, member)
            redis.call("HDEL", infos, member)
            publish(KEYS[4], KEYS[5], "s", "leave", '{"id":' .. member .. '}')
        end
    end
end

for _, token in ipairs(redis.call("ZRANGEBYSCORE", leases, "-inf", now)) do
    leave(token)
end
"""
)


@dataclass(frozen=True, slots=True)
class Script:
    """A script, and the digest by which Redis knows it."""

    text: str
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        digest = sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "digest", digest)


PUBLISH = Script(
    _PUBLISH
    + """
local known = redis.call("GET", KEYS[3])
if known then return known end
local position = publish(KEYS[1], KEYS[2], ARGV[7], ARGV[8], ARGV[9])
redis.call("SET", KEYS[3], position, "PX", ARGV[6])
return position
"""
)
"""Its keys: hash, stream, and that of the message. Its arguments: the milliseconds for
which the message is known, kind, event and data."""

READ = Script(
    _PUBLISH
    + """
local found = redis.call("HMGET", KEYS[1], "epoch", "offset")
if not found[1] then
    found = {begin(KEYS[1], KEYS[2]), "0"}
    live(KEYS[1], 5)
end
if ARGV[7] ~= "0" then
    found[3] = redis.call(
        "XRANGE", KEYS[2], "(" .. ARGV[6] .. "-0", "+", "COUNT", ARGV[7])
end
return found
"""
)
"""Its keys: hash and stream. Its arguments: the offset before, and the limit."""

CHECK = Script(
    _PUBLISH
    + """
local changed = {}
for index = 1, #KEYS, 2 do
    local known, at = ARGV[5 + index], tonumber(ARGV[6 + index])
    local found = redis.call("HMGET", KEYS[index], "epoch", "offset")
    if not found[1] or (found[1] == known and tonumber(found[2]) < at) then
        found = {begin(KEYS[index], KEYS[index + 1]), "0"}
    end
    live(KEYS[index], 5)
    if found[1] ~= known then
        table.insert(changed, {index, found[1], found[2]})
    end
end
return changed
"""
)
"""Renews the epoch of channels whose offset has gone back, and tells what is new.

Its keys: hash and stream of each. Its arguments: the epoch and the offset that are
known of each.
"""

JOIN = Script(
    _PRESENCE
    + """
for index = 7, #ARGV, 2 do
    local token, info = ARGV[index], ARGV[index + 1]
    if redis.call("ZADD", leases, now + ARGV[6], token) == 1 then
        local member = string.sub(token, 17)
        redis.call("HSET", infos, member, info)
        if redis.call("HINCRBY", counts, member, 1) == 1 then
            publish(KEYS[4], KEYS[5], "s", "join",
                '{"id":' .. member .. ',"info":' .. info .. '}')
        end
    end
end
for index = 1, 3 do
    redis.call("PEXPIRE", KEYS[index], 2 * ARGV[6])
end
"""
)
"""Joins, or renews leases. Its arguments: the milliseconds of a lease, and pairs of
token and info. A token is a key of 16 characters and the member as JSON."""

LEAVE = Script(
    _PRESENCE
    + """
for index = 6, #ARGV do
    leave(ARGV[index])
end
"""
)
"""Its arguments: tokens. Without them, it ends what has expired."""

MEMBERS = Script(_PRESENCE + 'return redis.call("HGETALL", infos)')

package sms

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// maxTries is how many wrong tries of one code an address has.
	maxTries = 5
	// maxOthers is how many wrong tries of one code all addresses have together, but for the one that asked for it, whose own
	// nobody else can use up. So 20 in all.
	maxOthers = 15
	// answerTTL is longer than the client goes on repeating a command.
	answerTTL = 30 * time.Second
)

// What consumeScript answers.
const (
	consumed    = "ok"
	consumeNone = "none"
	consumeBad  = "wrong"
	consumeVoid = "void"
)

// saveScript replaces the code of KEYS[1] by ARGV[1] for ARGV[2] milliseconds, restarts its tries in KEYS[2], and notes
// there who asked for the code, ARGV[3].
//
// KEYS[2] is a hash: code is what the tries are of, asker the address that asked for it, from:<address> the wrong tries of
// an address, and others those of all addresses but the asker's.
var saveScript = redis.NewScript(`
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], 'code', ARGV[1], 'asker', ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[2] + 1000)
return 1
`)

// consumeScript compares the code of KEYS[1] with ARGV[1], unless the address ARGV[2], of the network ARGV[3], has had
// its ARGV[4] wrong tries of that code, or all but the one who asked their ARGV[5]. The right one is deleted, so that of
// concurrent attempts one wins. A wrong one is counted in KEYS[2], which outlives the code, and tells a void code from
// none. The code is deleted when nobody may try it any more. ARGV[6] is the life of KEYS[2], in milliseconds, beside a
// code that never expires.
//
// KEYS[3], this attempt's own, keeps the answer for ARGV[7] milliseconds: the client runs the script again when the
// connection broke before the answer came.
var consumeScript = redis.NewScript(`
local before = redis.call('GET', KEYS[3])
if before then
  return before
end
local function answer(word)
  redis.call('SET', KEYS[3], word, 'PX', ARGV[7])
  return word
end
local most, most_others = tonumber(ARGV[4]), tonumber(ARGV[5])
local code = redis.call('GET', KEYS[1])
if code and redis.call('HGET', KEYS[2], 'code') ~= code then
  local left = redis.call('PTTL', KEYS[1])
  if left < 0 then
    left = tonumber(ARGV[6])
  end
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[2], 'code', code)
  redis.call('PEXPIRE', KEYS[2], left + 1000)
end
local function count(field)
  return tonumber(redis.call('HGET', KEYS[2], field) or 0)
end
local asker = redis.call('HGET', KEYS[2], 'asker')
local own = 'from:' .. ARGV[3]
if asker == ARGV[2] then
  own = 'asker:' .. ARGV[2]
end
local function used_up()
  return count(own) >= most or asker ~= ARGV[2] and count('others') >= most_others
end
if used_up() then
  return 'void'
end
if not code then
  return 'none'
end
if code == ARGV[1] then
  redis.call('DEL', KEYS[1], KEYS[2])
  return answer('ok')
end
redis.call('HINCRBY', KEYS[2], own, 1)
if asker ~= ARGV[2] then
  redis.call('HINCRBY', KEYS[2], 'others', 1)
end
if count('others') >= most_others and (not asker or count('asker:' .. asker) >= most) then
  redis.call('DEL', KEYS[1])
end
if used_up() then
  return answer('void')
end
return answer('wrong')
`)

// Consume uses the number's code up. addr is the IP address of the client that tries it. It returns nil for the right
// code, once, and otherwise ErrInvalidMobile, ErrWrongCode, ErrNoCode, or ErrTooManyTries from the address's fifth wrong
// try of the code on, or the fifteenth of all addresses but the one that asked for it, after which not even the right one is
// taken from there; and a *LimitError, without looking at the code, when the address has tried too many in vain. What is
// not six ASCII digits is a wrong code that does not count. Any other error is the cache's. Once begun, it goes on when ctx
// is cancelled, like Request.
func (c *Codes) Consume(ctx context.Context, mobile, code, addr string) error {
	if !ValidMobile(mobile) {
		return ErrInvalidMobile
	}
	if len(code) != 6 || !digits(code) {
		return ErrWrongCode
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	from := clientOf(addr)
	try := newTry(c.cache, c.limits, from)
	if err := try.take(ctx); err != nil {
		return c.refuse(err)
	}
	if err := c.compare(ctx, mobile, code, from); err != nil {
		return err
	}
	// The code was right. If these fail, the address is short of one try for an hour, and not known.
	_ = try.giveBack(ctx)
	_ = c.know(ctx, mobile, from)
	return nil
}

func (c *Codes) compare(ctx context.Context, mobile, code string, from client) error {
	keys := []string{codeKey(mobile), triesKey(mobile), triesKey(mobile) + ":answer:" + rand.Text()}
	answer, err := consumeScript.Run(ctx, c.cache, keys, code, from.own, from.network,
		maxTries, maxOthers, CodeTTL.Milliseconds(), answerTTL.Milliseconds()).Text()
	if err != nil {
		return fmt.Errorf("sms: consuming the code: %w", err)
	}
	switch answer {
	case consumed:
		return nil
	case consumeNone:
		return ErrNoCode
	case consumeBad:
		return ErrWrongCode
	case consumeVoid:
		return ErrTooManyTries
	}
	return fmt.Errorf("sms: consuming the code: unexpected answer %q", answer)
}

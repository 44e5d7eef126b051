package sms

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// maxTries is how many wrong codes make the right one void.
	maxTries = 5
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

// consumeScript compares the code of KEYS[1] with ARGV[1]. The right one is deleted, so that of concurrent attempts
// one wins. A wrong one is counted in KEYS[2], which lives as long as the code would; the ARGV[2]th deletes the code,
// and the count that stays behind tells a void code from none. ARGV[3] is the count's life, in milliseconds, beside
// a code that never expires.
//
// KEYS[3], this attempt's own, keeps the answer for ARGV[4] milliseconds: the client runs the script again when the
// connection broke before the answer came.
var consumeScript = redis.NewScript(`
local before = redis.call('GET', KEYS[3])
if before then
  return before
end
local function answer(word)
  redis.call('SET', KEYS[3], word, 'PX', ARGV[4])
  return word
end
local code = redis.call('GET', KEYS[1])
if not code then
  if tonumber(redis.call('GET', KEYS[2]) or 0) >= tonumber(ARGV[2]) then
    return 'void'
  end
  return 'none'
end
if code == ARGV[1] then
  redis.call('DEL', KEYS[1], KEYS[2])
  return answer('ok')
end
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  left = ARGV[3]
end
local tries = redis.call('INCR', KEYS[2])
redis.call('PEXPIRE', KEYS[2], left)
if tries >= tonumber(ARGV[2]) then
  redis.call('DEL', KEYS[1])
  return answer('void')
end
return answer('wrong')
`)

// Consume uses the number's code up. addr is the IP address of the client that tries it. It returns nil for the right
// code, once, and otherwise ErrInvalidMobile, ErrWrongCode, ErrNoCode, or ErrTooManyTries from the fifth wrong code
// on, after which even the right one is void; and a *LimitError, without looking at the code, when the address has
// tried too many in vain. What is not six ASCII digits is a wrong code that does not count. Any other error is the
// cache's. Once begun, it goes on when ctx is cancelled, like Request.
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
	try := newTry(c.cache, c.limits, addr)
	if err := try.take(ctx); err != nil {
		return err
	}
	if err := c.compare(ctx, mobile, code); err != nil {
		return err
	}
	_ = try.giveBack(ctx) // the code was right; if this fails, the address is short of one try for an hour
	return nil
}

func (c *Codes) compare(ctx context.Context, mobile, code string) error {
	keys := []string{codeKey(mobile), triesKey(mobile), triesKey(mobile) + ":answer:" + rand.Text()}
	answer, err := consumeScript.Run(ctx, c.cache, keys,
		code, maxTries, CodeTTL.Milliseconds(), answerTTL.Milliseconds()).Text()
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

package sms

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"
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

// What lua/consume_code.lua answers.
const (
	consumed     = "ok"
	consumeNone  = "none"
	consumeWrong = "wrong"
	consumeVoid  = "void"
)

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
	_ = c.addKnownAddress(ctx, mobile, from)
	return nil
}

func (c *Codes) compare(ctx context.Context, mobile, code string, from client) error {
	keys := []string{codeKey(mobile), triesKey(mobile), triesKey(mobile) + ":answer:" + rand.Text()}
	answer, err := consumeCodeScript.Run(ctx, c.cache, keys, code, from.address, from.network,
		maxTries, maxOthers, CodeTTL.Milliseconds(), answerTTL.Milliseconds()).Text()
	if err != nil {
		return fmt.Errorf("sms: consuming the code: %w", err)
	}
	switch answer {
	case consumed:
		return nil
	case consumeNone:
		return ErrNoCode
	case consumeWrong:
		return ErrWrongCode
	case consumeVoid:
		return ErrTooManyTries
	}
	return fmt.Errorf("sms: consuming the code: unexpected answer %q", answer)
}

package sms

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/paidui/paidui/tasks"
)

// How long Request and Consume may take after their caller has gone, and then how long Request may take to undo
// itself.
const (
	requestTimeout = 10 * time.Second
	undoTimeout    = 3 * time.Second
)

// Codes hands out and consumes codes. It is safe for concurrent use, in any number of processes on one cache.
type Codes struct {
	cache  redis.UniversalClient
	client *tasks.Client
	limits Limits
	now    func() time.Time

	refused *prometheus.CounterVec
}

// NewCodes keeps codes and limits in cache and enqueues with client.
func NewCodes(cache redis.UniversalClient, client *tasks.Client, limits Limits) *Codes {
	return &Codes{cache: cache, client: client, limits: limits.withDefaults(), now: time.Now, refused: newRefused()}
}

func codeKey(mobile string) string { return "send_sms_code_" + mobile }

// triesKey has the code's key as its hash tag, so that both are in one slot of a cluster. "paidui:sms:tries:…" was a count.
func triesKey(mobile string) string { return "paidui:sms:guesses:{" + codeKey(mobile) + "}" }

// Request draws a code for the number, keeps it and enqueues the task that sends it, whose id it returns. addr is
// the IP address of the client that asks.
//
// It fails with ErrInvalidMobile, with a *LimitError, or because the cache or the broker is out of reach; then
// nothing is sent and no allowance is used up. Once begun, it goes on when ctx is cancelled: a client that hangs up
// at the right moment must not get its allowance back and the message too.
func (c *Codes) Request(ctx context.Context, mobile, addr string) (taskID string, err error) {
	if !ValidMobile(mobile) {
		return "", ErrInvalidMobile
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	code, err := drawCode()
	if err != nil {
		return "", err
	}
	ctx = context.WithoutCancel(ctx)
	from := clientOf(addr)
	g, err := c.grant(ctx, mobile, from)
	if err != nil {
		return "", err
	}
	taskID, err = c.issue(ctx, g, mobile, code, from)
	if refused := (*LimitError)(nil); err == nil || errors.As(err, &refused) {
		return taskID, c.refuse(err)
	}
	return "", errors.Join(err, c.undo(ctx, g, mobile, code))
}

func (c *Codes) grant(ctx context.Context, mobile string, from client) (*grant, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	known, err := c.isKnownAddress(ctx, mobile, from)
	if err != nil {
		return nil, err
	}
	return newGrant(c.cache, c.limits, mobile, from, known, c.now()), nil
}

// issue does the steps in the order in which a process may die between any two of them: what is left behind then is
// an allowance without a code, or a code that nobody was told. Either costs the person one minute.
func (c *Codes) issue(ctx context.Context, g *grant, mobile, code string, from client) (taskID string, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if err := g.take(ctx); err != nil {
		return "", err
	}
	keys := []string{codeKey(mobile), triesKey(mobile)}
	if err := saveCodeScript.Run(ctx, c.cache, keys, code, CodeTTL.Milliseconds(), from.address).Err(); err != nil {
		return "", fmt.Errorf("sms: keeping the code: %w", err)
	}
	result, err := Send.Enqueue(ctx, c.client, SendArgs{Mobile: mobile})
	if err != nil {
		return "", fmt.Errorf("sms: enqueueing %s: %w", Send.Name(), err)
	}
	return result.ID(), nil
}

// undo also takes care of an enqueue that failed for us but reached the broker: without its code, that task sends
// nothing.
func (c *Codes) undo(ctx context.Context, g *grant, mobile, code string) error {
	ctx, cancel := context.WithTimeout(ctx, undoTimeout)
	defer cancel()
	var errs []error
	if err := forgetCodeScript.Run(ctx, c.cache, []string{codeKey(mobile), triesKey(mobile)}, code).Err(); err != nil {
		errs = append(errs, fmt.Errorf("sms: deleting the code that is not sent: %w", err))
	}
	if err := g.giveBack(ctx); err != nil {
		errs = append(errs, fmt.Errorf("sms: giving the allowance back: %w", err))
	}
	return errors.Join(errs...)
}

func drawCode() (string, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return "", fmt.Errorf("sms: drawing a code: %w", err)
	}
	return fmt.Sprintf("%06d", n), nil
}

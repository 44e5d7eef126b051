package redisx

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

// Subscription receives what is published on one channel, over one connection at a time.
type Subscription struct {
	Client  redis.UniversalClient
	Channel string

	// The callbacks come from the goroutine of Run, one at a time. None may be nil.
	Subscribed func()               // it stands; whatever was published before may have been missed
	Message    func(payload string) // in the order in which Redis sends them
	Lost       func(err error)      // a try failed, or it stands no longer

	Pauses Pauses
}

// Pauses are the times between tries to subscribe. Each pause is twice as long as the one before, up to the limit.
type Pauses struct {
	First   time.Duration // 0 is 50 ms
	Lost    time.Duration // the limit while the server is away; 0 is a second
	Refused time.Duration // the limit while the server refuses, which it does until an operator acts; 0 is 30 s
}

func (p *Pauses) fill() {
	for _, one := range []struct {
		value    *time.Duration
		standard time.Duration
	}{{&p.First, 50 * time.Millisecond}, {&p.Lost, time.Second}, {&p.Refused, 30 * time.Second}} {
		if *one.value == 0 {
			*one.value = one.standard
		}
	}
}

// silence is how long a silent connection is believed to be well, twice: without an answer to a ping it is made anew.
const silence = 15 * time.Second

// Run subscribes until ctx ends, again after each loss.
func (s Subscription) Run(ctx context.Context) {
	s.Pauses.fill()
	pause := s.Pauses.First
	for ctx.Err() == nil {
		stood, err := s.receive(ctx)
		if ctx.Err() != nil {
			return
		}
		s.Lost(err)
		if stood {
			pause = s.Pauses.First
		}
		limit := s.Pauses.Lost
		if Refused(err) {
			limit = s.Pauses.Refused
		}
		timer := time.NewTimer(min(pause, limit))
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
		pause = min(2*pause, limit)
	}
}

// receive subscribes once, and tells whether the subscription stood before it ended. It leaves no connection open.
func (s Subscription) receive(ctx context.Context) (stood bool, err error) {
	sub := s.Client.Subscribe(ctx, s.Channel)
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = sub.Close() // ends the receiving, which does not look at its context
		close(closed)
	})
	defer func() {
		if stop() {
			_ = sub.Close() // of no use any more
		} else {
			<-closed
		}
	}()
	for pinged := false; ; {
		got, err := sub.ReceiveTimeout(ctx, silence)
		var timeout net.Error
		switch {
		case err == nil:
			pinged = false
			switch m := got.(type) {
			case *redis.Subscription:
				stood = true
				s.Subscribed()
			case *redis.Message:
				s.Message(m.Payload)
			}
		case errors.As(err, &timeout) && timeout.Timeout() && !pinged && sub.Ping(ctx) == nil:
			pinged = true
		default:
			return stood, err
		}
	}
}

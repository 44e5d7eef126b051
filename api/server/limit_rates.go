package server

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// Rates is how often clients may do what costs, in each process of the API. A rate that is 0 is no limit.
type Rates struct {
	UserWrites  int // articles, followings and profile changes of one user, a second; ten times as many at once
	UserSeckill int // seckill requests of one user, a second; twice as many at once
	Address     int // those, logins and codes asked for, of one address, a second; ten times as many at once. Loopback is not limited
}

// What a rate lets through at once, as a span of time.
const (
	writesBurst  = 10 * time.Second
	seckillBurst = 2 * time.Second
	addressBurst = 10 * time.Second

	// An address may try so many wrong operator keys at once, and then one each wrongKeyEvery.
	wrongKeys     = 10
	wrongKeyEvery = 6 * time.Second
)

// rated is what a route counts as.
type rated int

const (
	unrated      rated = iota
	ratedWrite         // of a user
	ratedSeckill       // of a user
	ratedPublic        // a login, a code asked for
)

// bucket counts what clients do, by the generic cell rate algorithm (ITU-T I.371): of each it keeps one time, that at
// which all it has done is forgotten. It is safe for concurrent use.
type bucket[K comparable] struct {
	every time.Duration // what one costs
	burst time.Duration // how far ahead of the clock a client's time may be

	mu    sync.Mutex
	until map[K]time.Time
	sweep int // the size at which the forgotten ones are looked for
}

// mostClients is how many clients a bucket knows at most.
const mostClients = 1 << 17

// newBucket makes a bucket for perSecond a second, as many at once as the burst has room for. Nil, which lets all pass,
// stands for no limit.
func newBucket[K comparable](perSecond int, burst time.Duration) *bucket[K] {
	if perSecond <= 0 {
		return nil
	}
	return makeBucket[K](time.Second/time.Duration(perSecond), burst)
}

func makeBucket[K comparable](every, burst time.Duration) *bucket[K] {
	return &bucket[K]{every: every, burst: burst, until: make(map[K]time.Time), sweep: 1024}
}

// take counts one and returns 0, or returns when there is room for one.
func (b *bucket[K]) take(client K, now time.Time) (wait time.Duration) {
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	next, wait := b.next(client, now)
	if wait == 0 {
		b.until[client] = next
		b.bound(now)
	}
	return wait
}

// full returns when there is room for one, and counts none.
func (b *bucket[K]) full(client K, now time.Time) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, wait = b.next(client, now)
	return wait
}

// next is the client's time after one more, and when there is room for it. It is called with mu locked.
func (b *bucket[K]) next(client K, now time.Time) (until time.Time, wait time.Duration) {
	until = b.until[client]
	if until.Before(now) {
		until = now
	}
	until = until.Add(b.every)
	return until, max(0, until.Sub(now)-b.burst)
}

// bound forgets clients whose time is over, and of too many that are left any. It is called with mu locked.
func (b *bucket[K]) bound(now time.Time) {
	if len(b.until) < b.sweep {
		return
	}
	for client, until := range b.until {
		if !until.After(now) || len(b.until) > mostClients {
			delete(b.until, client)
		}
	}
	b.sweep = max(1024, 2*len(b.until))
}

// rates are the buckets of one process.
type rates struct {
	writes, seckill *bucket[int64]
	address         *bucket[netip.Addr]
	wrongKeys       *bucket[netip.Addr]
}

func newRates(r Rates) *rates {
	return &rates{
		writes:    newBucket[int64](r.UserWrites, writesBurst),
		seckill:   newBucket[int64](r.UserSeckill, seckillBurst),
		address:   newBucket[netip.Addr](r.Address, addressBurst),
		wrongKeys: makeBucket[netip.Addr](wrongKeyEvery, wrongKeys*wrongKeyEvery),
	}
}

// clientOf is what stands for a client's address: an IPv4 address, or the /64 that a single IPv6 customer has.
func clientOf(c echo.Context) netip.Addr {
	ip, err := netip.ParseAddr(c.RealIP())
	if err != nil {
		return netip.IPv6Unspecified() // all of whom nothing is known
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is6() && !ip.IsLoopback() {
		return netip.PrefixFrom(ip, 64).Masked().Addr()
	}
	return ip
}

// addressOf is clientOf for rates. It is not valid for loopback, where whoever asks is this machine's operator or a proxy
// that was not made known.
func addressOf(c echo.Context) netip.Addr {
	if addr := clientOf(c); !addr.IsLoopback() {
		return addr
	}
	return netip.Addr{}
}

// inRate lets a request of a kind pass on to next if its user and its address do that not too often.
func (s *Server) inRate(kind rated, next echo.HandlerFunc) echo.HandlerFunc {
	own := map[rated]*bucket[int64]{ratedWrite: s.rates.writes, ratedSeckill: s.rates.seckill}[kind]
	if kind == unrated || own == nil && s.rates.address == nil {
		return next
	}
	return func(c echo.Context) error {
		now := requestOf(c).begun
		if wait := own.take(userOf(c), now); wait > 0 {
			return tooFast(wait)
		}
		if s.rates.address != nil {
			if addr := addressOf(c); addr.IsValid() {
				if wait := s.rates.address.take(addr, now); wait > 0 {
					return tooFast(wait)
				}
			}
		}
		return next(c)
	}
}

func tooFast(wait time.Duration) *apiError {
	return &apiError{
		status: http.StatusTooManyRequests, retryAfter: wait, expected: true,
		msg: text{"操作太频繁，请稍后再试", "too often, try again later"},
	}
}

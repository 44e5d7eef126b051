package server

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// Rates limits how often clients may send costly requests, in each process of the API. 0 is no limit.
type Rates struct {
	UserWrites  int // articles, followings and profile changes of one user, a second; ten times as many at once
	UserSeckill int // seckill requests of one user, a second; twice as many at once
	Address     int // those, logins and codes asked for, of one address, a second; ten times as many at once. Loopback is not limited
}

// Bursts, as the span of time whose requests may come at once.
const (
	writesBurst  = 10 * time.Second
	seckillBurst = 2 * time.Second
	addressBurst = 10 * time.Second

	// An address may try so many wrong operator keys at once, and then one each wrongKeyEvery.
	wrongKeys     = 10
	wrongKeyEvery = 6 * time.Second
)

// rated is the rate that a route counts for.
type rated int

const (
	unrated      rated = iota
	ratedWrite         // of a user
	ratedSeckill       // of a user
	ratedPublic        // a login, a code asked for
)

// bucket limits the requests of each client by the generic cell rate algorithm (ITU-T I.371). For each client it keeps one
// time: when its requests so far no longer count. It is safe for concurrent use.
type bucket[K comparable] struct {
	every time.Duration // the span that one request costs
	burst time.Duration // how far ahead of the clock a client's time may be

	mu    sync.Mutex
	until map[K]time.Time
	sweep int // the size of until at which evict next runs
}

// maxClients is the number of clients from which on a bucket forgets any of them.
const maxClients = 1 << 17

// newBucket makes a bucket for perSecond requests a second; those of the burst may come at once. It returns nil, for no
// limit, when perSecond is 0.
func newBucket[K comparable](perSecond int, burst time.Duration) *bucket[K] {
	if perSecond <= 0 {
		return nil
	}
	return bucketOf[K](time.Second/time.Duration(perSecond), burst)
}

func bucketOf[K comparable](every, burst time.Duration) *bucket[K] {
	return &bucket[K]{every: every, burst: burst, until: make(map[K]time.Time), sweep: 1024}
}

// take counts a request and returns 0. If there is no room it counts none, and returns how long until there is.
func (b *bucket[K]) take(client K, now time.Time) (wait time.Duration) {
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	next, wait := b.next(client, now)
	if wait == 0 {
		b.until[client] = next
		b.evict(now)
	}
	return wait
}

// peek returns how long until there is room for a request. It counts none.
func (b *bucket[K]) peek(client K, now time.Time) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, wait = b.next(client, now)
	return wait
}

// next returns the client's time after one more request, and how long until there is room for it. It is called with mu locked.
func (b *bucket[K]) next(client K, now time.Time) (until time.Time, wait time.Duration) {
	until = b.until[client]
	if until.Before(now) {
		until = now
	}
	until = until.Add(b.every)
	return until, max(0, until.Sub(now)-b.burst)
}

// evict removes clients whose time has passed, and any others while there are more than maxClients. It is called with mu
// locked.
func (b *bucket[K]) evict(now time.Time) {
	if len(b.until) < b.sweep {
		return
	}
	for client, until := range b.until {
		if !until.After(now) || len(b.until) > maxClients {
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
		wrongKeys: bucketOf[netip.Addr](wrongKeyEvery, wrongKeys*wrongKeyEvery),
	}
}

// clientOf identifies a client by its IPv4 address, or by its IPv6 /64, which one customer has.
func clientOf(c echo.Context) netip.Addr {
	ip, err := netip.ParseAddr(c.RealIP())
	if err != nil {
		return netip.IPv6Unspecified() // all clients without an address
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

// limitRate refuses a request when its user or its address sends too many of its kind.
func (s *Server) limitRate(kind rated, next echo.HandlerFunc) echo.HandlerFunc {
	own := map[rated]*bucket[int64]{ratedWrite: s.rates.writes, ratedSeckill: s.rates.seckill}[kind]
	if kind == unrated || own == nil && s.rates.address == nil {
		return next
	}
	return func(c echo.Context) error {
		now := requestOf(c).begun
		if wait := own.take(userOf(c), now); wait > 0 {
			return rateLimited(wait)
		}
		if s.rates.address != nil {
			if addr := addressOf(c); addr.IsValid() {
				if wait := s.rates.address.take(addr, now); wait > 0 {
					return rateLimited(wait)
				}
			}
		}
		return next(c)
	}
}

func rateLimited(wait time.Duration) *apiError {
	return &apiError{
		status: http.StatusTooManyRequests, retryAfter: wait, expected: true,
		msg: text{"操作太频繁，请稍后再试", "too often, try again later"},
	}
}

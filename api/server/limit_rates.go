package server

import (
	"cmp"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// Rate limits how often a client may send costly requests, in each process of the API. The routes that have the same *Rate
// are counted together; none of its fields may change once a server has it.
type Rate struct {
	PerUser int           // requests of one user, a second; 0 is no limit. Who is nobody is not counted
	Burst   time.Duration // the span of time whose requests may come at once; 10 s when 0

	// Beside, every request to a route with a Rate, with whichever, counts for its client's address: see
	// Options.RequestsPerAddress.
}

const (
	standardBurst = 10 * time.Second

	// An address may try so many wrong operator keys at once, and then one each wrongKeyEvery.
	wrongKeys     = 10
	wrongKeyEvery = 6 * time.Second
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
	users     map[*Rate]*bucket[string]
	address   *bucket[netip.Addr]
	wrongKeys *bucket[netip.Addr]

	refused      *bucket[string] // acts in the audit log, by role and client
	refusedOfAll *bucket[struct{}]
}

func newRates(perAddress int, routes []Route) *rates {
	r := &rates{
		users:     make(map[*Rate]*bucket[string]),
		address:   newBucket[netip.Addr](perAddress, standardBurst),
		wrongKeys: bucketOf[netip.Addr](wrongKeyEvery, wrongKeys*wrongKeyEvery),

		refused:      bucketOf[string](refusalEvery, refusals*refusalEvery),
		refusedOfAll: bucketOf[struct{}](refusalOfAllEvery, refusalsOfAll*refusalOfAllEvery),
	}
	for _, route := range routes {
		if rate := route.Rate; rate != nil && r.users[rate] == nil {
			r.users[rate] = newBucket[string](rate.PerUser, cmp.Or(rate.Burst, standardBurst))
		}
	}
	return r
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
func (s *Server) limitRate(kind *Rate, next echo.HandlerFunc) echo.HandlerFunc {
	own := s.rates.users[kind]
	if kind == nil || own == nil && s.rates.address == nil {
		return next
	}
	return func(c echo.Context) error {
		state := requestOf(c)
		if user := state.identity.User; user != "" && !state.identity.byKey {
			if wait := own.take(user, state.begun); wait > 0 {
				return rateLimited(wait)
			}
		}
		if s.rates.address != nil {
			if addr := addressOf(c); addr.IsValid() {
				if wait := s.rates.address.take(addr, state.begun); wait > 0 {
					return rateLimited(wait)
				}
			}
		}
		return next(c)
	}
}

func rateLimited(wait time.Duration) *Failure {
	return &Failure{
		Status: http.StatusTooManyRequests, RetryAfter: wait, Quiet: true,
		Msg: Text{"操作太频繁，请稍后再试", "too often, try again later"},
	}
}

package server

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/catalog"
	"github.com/paidui/paidui/tasks/history"
	"github.com/paidui/paidui/tasks/seckill"
	"github.com/paidui/paidui/tasks/sms"
	"github.com/paidui/paidui/tasks/ticks"
)

// Options is what the API works with. A field is required unless its comment says otherwise.
type Options struct {
	Broker  *broker.Broker
	Tasks   *tasks.Client
	Catalog *tasks.Catalog
	Codes   *sms.Codes
	Sales   *seckill.Sales
	Ticks   *ticks.Store
	History *history.Store
	catalog.Features

	JWTSecret   string        // signs users' tokens
	JWTPrevious string        // what it was before; tokens that it signed are taken; none when ""
	JWTLifetime time.Duration // of a token; 7 days when 0
	OperatorKey string        // what an operator sends as bearer token

	Web            http.Handler          // answers GET and HEAD of what is no route, such as "/" and "/media/…"; nil: they are 404
	Language       string                // of messages to who asks for none, or for none that there is: "zh", also when empty, or "en"
	Mailbox        *sms.Mailbox          // served as /v1/outbox to operators; nil: not at all
	MailboxPublic  bool                  // ... and to anybody
	CORSOrigins    []string              // origins whose pages may call the API, "*" for any; none when empty
	TrustedProxies []netip.Prefix        // whose X-Forwarded-For is believed; none when empty
	LongestWait    time.Duration         // of a request for its turn, in a burst of many to one route; unlimited when 0
	Rates          Rates                 // of clients; unlimited when zero, but for wrong operator keys
	Waits          Waits                 // of clients for tasks; unlimited when zero
	Logger         *slog.Logger          // slog.Default() when nil
	Registry       prometheus.Registerer // where the metrics go; nowhere when nil

	// Leaving gives the channel that is closed when the server of a request, whose context it gets, is told to stop:
	// /healthz then answers 503. Nil, or a nil channel, is never.
	Leaving func(context.Context) <-chan struct{}

	// Draining gives the channel that is closed when the server of a request, whose context it gets, begins to drain:
	// long polls then answer what they know. Nil, or a nil channel, is never.
	Draining func(context.Context) <-chan struct{}
}

// Server is the API. It is safe for concurrent use.
type Server struct {
	Options
	echo            *echo.Echo
	log             *slog.Logger
	operatorSum     [sha256.Size]byte
	tokens          *tokens
	check           *checker
	metrics         *metrics
	rates           *rates
	waits           *waits
	refusals        *pacer // of all routes
	docsFiles       http.Handler
	heartbeats      *sharedTimers // of streams
	clientChecks    *sharedTimers // when long polls check their clients
	defaultLanguage language      // of Options.Language
	failures        sampler       // of lines in the log
	warned          warned
}

const defaultJWTLifetime = 7 * 24 * time.Hour

// New makes the API. It makes no request and starts no goroutine.
func New(opt Options) (*Server, error) {
	if err := opt.validate(); err != nil {
		return nil, fmt.Errorf("api server: %w", err)
	}
	opt.JWTLifetime = cmp.Or(opt.JWTLifetime, defaultJWTLifetime)
	if opt.Logger == nil {
		opt.Logger = slog.Default()
	}
	check, err := newChecker()
	if err != nil {
		return nil, fmt.Errorf("api server: %w", err)
	}
	m, err := newMetrics(opt.Registry)
	if err != nil {
		return nil, fmt.Errorf("api server: %w", err)
	}
	s := &Server{
		Options:         opt,
		echo:            echo.New(),
		log:             opt.Logger,
		operatorSum:     sha256.Sum256([]byte(opt.OperatorKey)),
		tokens:          newTokens(opt.JWTSecret, opt.JWTLifetime, opt.JWTPrevious),
		check:           check,
		metrics:         m,
		rates:           newRates(opt.Rates),
		waits:           newWaits(opt.Waits),
		refusals:        newPacer(opt.Waits.All / 3), // a quarter of the connections: others wait for tasks
		docsFiles:       newDocsFiles(),
		heartbeats:      newSharedTimers(heartbeatSpan),
		clientChecks:    newSharedTimers(goneSpan),
		defaultLanguage: languages[opt.Language],
		failures:        sampler{most: loggedFailures},
	}
	s.echo.IPExtractor = clientIP(opt.TrustedProxies)
	s.echo.HTTPErrorHandler = func(err error, c echo.Context) { s.fail(c, err) }
	s.echo.Use(s.middleware)
	if len(opt.CORSOrigins) > 0 {
		s.echo.Use(allowOrigins(opt.CORSOrigins))
	}
	for _, r := range s.routes() {
		handler := withTimeout(r.timeout, s.authorize(r.who, r.checkInput(s.limitRate(r.rated, s.limitLoad(r)))))
		for _, path := range append([]string{r.path}, r.aliases...) {
			s.echo.Add(r.method, path, handler)
			if r.method == http.MethodGet && !r.changes {
				s.echo.Add(http.MethodHead, path, handler) // net/http leaves out the body
			}
		}
	}
	return s, nil
}

func (o Options) validate() error {
	missing := func(name string, is bool) error {
		if is {
			return errors.New(name + " is missing")
		}
		return nil
	}
	var unknown error
	if _, known := languages[o.Language]; !known {
		unknown = fmt.Errorf("%q as Language is neither zh nor en", o.Language)
	}
	return errors.Join(
		unknown,
		missing("Broker", o.Broker == nil),
		missing("Tasks", o.Tasks == nil),
		missing("Catalog", o.Catalog == nil),
		missing("Store", o.Store == nil),
		missing("Banners", o.Banners == nil),
		missing("Profiles", o.Profiles == nil),
		missing("Articles", o.Articles == nil),
		missing("Followings", o.Followings == nil),
		missing("Counters", o.Counters == nil),
		missing("Codes", o.Codes == nil),
		missing("Sales", o.Sales == nil),
		missing("Ticks", o.Ticks == nil),
		missing("History", o.History == nil),
		missing("JWTSecret", o.JWTSecret == ""),
		missing("OperatorKey", o.OperatorKey == ""),
	)
}

// Handler serves the API.
func (s *Server) Handler() http.Handler { return withoutTrailingSlash(s.echo) }

// Routes lists what is served, as "METHOD /path/:param".
func (s *Server) Routes() []string {
	var list []string
	for _, r := range s.echo.Routes() {
		list = append(list, r.Method+" "+r.Path)
	}
	return list
}

// clientIP extracts the peer's address, or behind trusted proxies the last address in X-Forwarded-For that is not a proxy's.
func clientIP(proxies []netip.Prefix) echo.IPExtractor {
	if len(proxies) == 0 {
		return echo.ExtractIPDirect()
	}
	trust := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, p := range proxies {
		trust = append(trust, echo.TrustIPRange(&net.IPNet{
			IP:   p.Addr().AsSlice(),
			Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
		}))
	}
	return echo.ExtractIPFromXFFHeader(trust...)
}

package server

import (
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
	"github.com/paidui/paidui/tasks/audit"
	"github.com/paidui/paidui/tasks/bulk"
	"github.com/paidui/paidui/tasks/history"
	"github.com/paidui/paidui/tasks/schedule"
	"github.com/paidui/paidui/tasks/ticks"
)

// Options is what the API works with. A field is required unless its comment says otherwise.
type Options struct {
	Application // what the program adds; none is required

	Tasks   *tasks.Client
	Catalog *tasks.Catalog

	// What a program has no store for, it leaves nil. GET /v1/schedules and GET /v1/tasks then answer 501, and say which of
	// them there is not; a task that Redis has forgotten is a 404.
	Ticks   *ticks.Store
	History *history.Store
	Bulk    *bulk.Store // POST /v1/bulk is a 501 without

	// Schedules is the table of what operators make and change of schedules; nil without a database: changes then answer 501.
	Schedules *schedule.Table
	Location  *time.Location // of schedules that name no time zone; UTC when nil

	OperatorKey  string        // what the operator "operator" sends as bearer token; "" where others are known
	OperatorKeys *OperatorKeys // of operators and observers, by name; nil: there are none

	// ObserversSeeArguments shows observers the arguments, results and errors of tasks, which may hold what only the tasks'
	// callers and operators are to know. Without, they see the rest.
	ObserversSeeArguments bool

	// Audit keeps every act: each request to a route of Operators but GET and HEAD, and those of others that were refused. Nil:
	// acts are in Logger alone, and GET /v1/audit is a 501.
	Audit *audit.Log
	// AuditWithoutEnqueues leaves calls that have enqueued tasks out of the audit log. The history has their tasks.
	AuditWithoutEnqueues bool

	Language           string                // of messages to who asks for none, or for none that there is: "zh", also when empty, or "en"
	CORSOrigins        []string              // origins whose pages may call the API, "*" for any; none when empty
	TrustedProxies     []netip.Prefix        // whose X-Forwarded-For is believed; none when empty
	LongestWait        time.Duration         // of a request for its turn, in a burst of many to one route; unlimited when 0
	RequestsPerAddress int                   // to routes with a Rate, of one address, a second; ten times as many at once. Loopback is not limited; unlimited when 0
	Waits              Waits                 // of clients for tasks; unlimited when zero
	Logger             *slog.Logger          // slog.Default() when nil
	Registry           prometheus.Registerer // where the metrics go; nowhere when nil

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
	ownKey          []knownKey // OperatorKey; empty without one
	check           *checker
	metrics         *metrics
	rates           *rates
	waits           *waits
	refusals        *pacer // of all routes
	spec            []byte // the contract
	docsFiles       http.Handler
	heartbeats      *sharedTimers // of streams
	clientChecks    *sharedTimers // when long polls check their clients
	defaultLanguage Language      // of Options.Language
	failures        sampler       // of lines in the log
	warned          warned
	purgeBudget     time.Duration // of one request
}

// New makes the API. It makes no request and starts no goroutine.
func New(opt Options) (*Server, error) {
	if err := opt.validate(); err != nil {
		return nil, fmt.Errorf("api server: %w", err)
	}
	if opt.Logger == nil {
		opt.Logger = slog.Default()
	}
	if opt.Audit == nil {
		opt.Audit = audit.New(nil, opt.Logger)
	}
	check, err := newChecker(opt.Checks...)
	if err != nil {
		return nil, fmt.Errorf("api server: %w", err)
	}
	spec, err := wholeContract(opt.Contract, opt.Catalog)
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
		ownKey:          ownKey(opt.OperatorKey),
		check:           check,
		metrics:         m,
		rates:           newRates(opt.RequestsPerAddress, opt.Routes),
		waits:           newWaits(opt.Waits),
		refusals:        newPacer(opt.Waits.All / 3), // a quarter of the connections: others wait for tasks
		spec:            spec,
		docsFiles:       newDocsFiles(),
		heartbeats:      newSharedTimers(heartbeatSpan),
		clientChecks:    newSharedTimers(goneSpan),
		defaultLanguage: languages[opt.Language],
		failures:        sampler{most: loggedFailures},
		purgeBudget:     purgeBudget,
	}
	s.echo.IPExtractor = clientIP(opt.TrustedProxies)
	s.echo.HTTPErrorHandler = func(err error, c echo.Context) { s.fail(c, err) }
	s.echo.Validator = check
	s.echo.Use(s.middleware)
	if len(opt.CORSOrigins) > 0 {
		s.echo.Use(allowOrigins(opt.CORSOrigins))
	}
	routes := append(s.routes(), opt.Routes...)
	if err := collisions(routes); err != nil {
		return nil, fmt.Errorf("api server: %w", err)
	}
	for _, r := range routes {
		s.add(r)
	}
	if opt.Echo != nil {
		opt.Echo(s.echo)
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
		missing("Tasks", o.Tasks == nil),
		missing("Catalog", o.Catalog == nil),
		missing("OperatorKey", o.OperatorKey == "" && o.OperatorKeys == nil && o.Identify == nil),
		o.Application.validate(),
	)
}

// ownKey is Options.OperatorKey as it is compared.
func ownKey(key string) []knownKey {
	if key == "" {
		return nil
	}
	return []knownKey{{StandardOperator, RoleOperator, sha256.Sum256([]byte(key))}}
}

// Handler serves the API. A program may have it below a path of its own, behind http.StripPrefix, in net/http's mux or any
// router: all links that the API answers are relative.
func (s *Server) Handler() http.Handler { return withoutTrailingSlash(s.echo) }

// OpenAPI is the contract, the API's and the application's part as one: what is served at /docs/openapi.yaml. It must not be
// changed.
func (s *Server) OpenAPI() []byte { return s.spec }

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

package server

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// Route is one operation of the API. A request passes, in this order: who may send it, the parameters and the body that the
// route takes, its rate, and its turn under load; then the handler. Every path works with a slash behind it, and HEAD
// wherever there is GET.
//
// The handler may be any that Echo takes, also one that knows nothing of this package: what it returns as an *echo.HTTPError
// is answered in the envelope, too. echo.WrapHandler makes one of an http.Handler.
type Route struct {
	Method  string
	Path    string // as Echo has it: /v1/reports/:id
	Handler echo.HandlerFunc
	Who     Access   // Anyone, unless given
	Aliases []string // other paths, with the same parameters

	Timeout time.Duration // ends the request's context; DefaultTimeout when 0
	Rate    *Rate         // how often a client may; nil is not limited, nor counted
	Ungated bool          // answered from memory, so that it needs no turn under load

	Query    []string // the parameters it takes, beside pretty, which all do; others are 400
	AnyQuery bool     // takes any parameter, as the address of a page does
	Body     bool     // takes a body, which the handler reads with Body; others are 400
	MaxBody  int64    // of a body, in bytes; DefaultMaxBody when 0

	NoHead bool // a GET with an effect, which HEAD must not have

	enqueues bool     // tasks, of which there may be thousands a second: the audit log gets the act when it is over
	subjects []string // parameters of the query that the audit log has, beside those of the path
}

// What a Route has that says nothing else.
const (
	DefaultTimeout = 10 * time.Second
	DefaultMaxBody = 64 << 10 // bytes
)

// Access is who may use a route.
type Access int

const (
	// Anyone may use the route. Its requests are not identified.
	Anyone Access = iota
	// AnyoneOrOperator may use it, and is identified: an operator sees more.
	AnyoneOrOperator
	// Users are those that Application.Identify has a User for; others get a 401.
	Users
	// Operators are those who send an operator's key, or of whom Application.Identify says so; others get a 401, users and
	// observers a 403. It is for what acts: every request but GET and HEAD is in the audit log.
	Operators
	// Observers are those who send an observer's or an operator's key, or of whom Application.Identify says so; others get a
	// 401, users a 403. It is for what reads.
	Observers
)

// paths are the route's path and its aliases.
func (r Route) paths() []string { return append([]string{r.Path}, r.Aliases...) }

// validate reports what is wrong with a route of an application.
func (r Route) validate(identifies bool) error {
	var faults []error
	fault := func(is bool, format string, args ...any) {
		if is {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	fault(r.Method == "" || r.Method != strings.ToUpper(r.Method), "%q is no method", r.Method)
	for _, path := range r.paths() {
		fault(!strings.HasPrefix(path, "/") || path != "/" && strings.HasSuffix(path, "/"),
			"the path %q must begin with a slash, and not end with one", path)
	}
	fault(r.Handler == nil, "Handler is missing")
	fault(r.Who < Anyone || r.Who > Observers, "Who is none of this package's")
	fault(r.Who == Users && !identifies, "Who is Users, but there is no Identify to know them")
	fault(r.Timeout < 0, "Timeout is negative")
	fault(r.MaxBody < 0, "MaxBody is negative")
	fault(r.MaxBody > 0 && !r.Body, "MaxBody is given, but no Body taken")
	fault(r.AnyQuery && len(r.Query) > 0, "both Query and AnyQuery are given")
	fault(r.NoHead && r.Method != http.MethodGet, "NoHead is for GET")
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("route %s %s: %w", r.Method, r.Path, errors.Join(faults...))
}

// anyParam is a parameter in a path of Echo or of a contract.
var anyParam = regexp.MustCompile(`:\w+|\{\w+\}`)

// collisions reports operations that two of the routes have. Paths that differ in the names of their parameters are the same.
func collisions(routes []Route) error {
	var faults []error
	seen := make(map[string]bool)
	for _, r := range routes {
		for _, path := range r.paths() {
			operation := r.Method + " " + anyParam.ReplaceAllString(path, ":")
			if seen[operation] {
				faults = append(faults, fmt.Errorf("route %s %s: there are two of it", r.Method, path))
			}
			seen[operation] = true
		}
	}
	return errors.Join(faults...)
}

// add has Echo serve the route.
func (s *Server) add(r Route) {
	audited := r
	audited.Handler = s.beginAct(r)
	handler := withTimeout(r.Timeout, s.recordAct(r, s.authorize(r.Who, r.checkInput(s.limitRate(r.Rate, s.limitLoad(audited))))))
	for _, path := range r.paths() {
		s.echo.Add(r.Method, path, handler)
		if r.Method == http.MethodGet && !r.NoHead {
			s.echo.Add(http.MethodHead, path, handler) // net/http leaves out the body
		}
	}
}

// takes reports whether the route takes a query parameter of that name.
func (r Route) takes(name string) bool { return name == prettyParam || slices.Contains(r.Query, name) }

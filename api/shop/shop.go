package shop

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/tasks/articles"
	"github.com/paidui/paidui/tasks/banners"
	"github.com/paidui/paidui/tasks/counter"
	"github.com/paidui/paidui/tasks/following"
	"github.com/paidui/paidui/tasks/profiles"
	"github.com/paidui/paidui/tasks/seckill"
	"github.com/paidui/paidui/tasks/sms"
)

// Options is what the shop's routes work with. A field is required unless its comment says otherwise.
type Options struct {
	Codes      *sms.Codes
	Sales      *seckill.Sales
	Banners    *banners.List
	Profiles   *profiles.Profiles
	Articles   *articles.Articles
	Counters   *counter.Counters
	Followings *following.Followings

	JWTSecret   string        // signs users' tokens
	JWTPrevious string        // what it was before; tokens that it signed are taken; none when ""
	JWTLifetime time.Duration // of a token; 7 days when 0

	Mailbox        *sms.Mailbox // served as /v1/outbox to operators; nil: not at all
	MailboxPublic  bool         // ... and to anybody
	WritesPerUser  int          // articles, followings and profile changes of one user, a second; ten times as many at once; unlimited when 0
	SeckillPerUser int          // seckill requests of one user, a second; twice as many at once; unlimited when 0
	Logger         *slog.Logger // slog.Default() when nil
}

// API has the handlers of the shop's routes. It is safe for concurrent use.
type API struct {
	Options
	logger *slog.Logger
	tokens *tokens
}

const defaultJWTLifetime = 7 * 24 * time.Hour

//go:embed openapi.yaml
var contract []byte

// New makes what the shop adds to the API: Options.Application of package server, but for Web.
func New(opt Options) (server.Application, error) {
	if err := opt.validate(); err != nil {
		return server.Application{}, fmt.Errorf("the shop's API: %w", err)
	}
	if opt.Logger == nil {
		opt.Logger = slog.Default()
	}
	a := &API{
		Options: opt,
		logger:  opt.Logger,
		tokens:  newTokens(opt.JWTSecret, cmp.Or(opt.JWTLifetime, defaultJWTLifetime), opt.JWTPrevious),
	}
	return server.Application{
		Routes:      a.routes(),
		Identify:    a.identify,
		Explain:     explain,
		PublicError: isSendError,
		Checks:      []server.Check{{Tag: "mobile", Valid: sms.ValidMobile, Msg: msgMobile}},
		Contract:    contract,
	}, nil
}

func (o Options) validate() error {
	missing := func(name string, is bool) error {
		if is {
			return errors.New(name + " is missing")
		}
		return nil
	}
	return errors.Join(
		missing("Codes", o.Codes == nil),
		missing("Sales", o.Sales == nil),
		missing("Banners", o.Banners == nil),
		missing("Profiles", o.Profiles == nil),
		missing("Articles", o.Articles == nil),
		missing("Counters", o.Counters == nil),
		missing("Followings", o.Followings == nil),
		missing("JWTSecret", o.JWTSecret == ""),
	)
}

// identify recognises a user by the token that login answers.
func (a *API) identify(r *http.Request) (server.Identity, error) {
	token, given := server.Bearer(r)
	if !given {
		return server.Identity{}, nil
	}
	id, err := a.tokens.user(token)
	if err != nil {
		return server.Identity{}, err
	}
	return server.Identity{User: strconv.FormatInt(id, 10), Value: id}, nil
}

// userOf is the id of the user who is logged in, on a route for users.
func userOf(c echo.Context) int64 {
	id, _ := server.IdentityOf(c).Value.(int64)
	return id
}

// set assigns *from to the field, unless from is nil, which stands for a field absent from the body.
func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

package boot

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/deploy/localkey"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks"
)

// Local runs the API, a worker and a scheduler in this process until ctx ends. What the configuration leaves out it
// makes: an embedded Redis, the database's folder, the operator's key, the application's seed, and a free port when the
// usual one is taken. Where to go is written to out.
func Local(ctx context.Context, app App, cfg config.Config, out io.Writer) error {
	at, err := reserveHTTP(ctx, cfg)
	if errors.Is(err, syscall.EADDRINUSE) {
		fmt.Fprintf(out, "%s is taken by another program; taking a free port instead.\n", cfg.HTTPAddr)
		cfg = withPort(cfg, "0")
		at, err = reserveHTTP(ctx, cfg)
	}
	if err != nil {
		return err
	}
	defer at.Close() // for the errors before boot has it; closing it again does nothing
	if cfg.AdminAddr, err = freeAdminAddr(cfg.AdminAddr); err != nil {
		return err
	}
	made := cfg.OperatorKey == ""
	if made {
		cfg.OperatorKey = config.Secret(rand.Text())
	}
	folder := "" // of the database
	if file, ok := strings.CutPrefix(cfg.DatabaseURL.Reveal(), "sqlite://"); ok && file != ":memory:" {
		folder = filepath.Dir(file)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return fmt.Errorf("%s: %w", models.Setting, err)
		}
	}
	inProcess := &embeddedRedis{}
	defer inProcess.close()
	if cfg.BrokerURL == "" {
		url, err := inProcess.url(ctx, 1)
		if err != nil {
			return err
		}
		cfg.BrokerURL = config.URL(url)
	}
	return boot{
		app:      app,
		program:  config.Local,
		config:   cfg,
		database: true,
		migrates: true,
		http:     at,
		embedded: inProcess,
		assemble: func(ctx context.Context, e *Env) error {
			if err := e.open(ctx); err != nil {
				return err
			}
			if err := e.migrate(ctx); err != nil {
				return err
			}
			if e.Stores.DB != nil && app.Seed != nil {
				if _, err := app.Seed(ctx, e.Stores.DB); err != nil {
					return err
				}
			}
			_, err := e.addScheduler(ctx)
			if err := errors.Join(err, e.addAPI(), e.addWorker()); err != nil {
				return err
			}
			e.addShared()
			say := Welcome.Print
			if app.Welcome != nil {
				say = func(w Welcome, out io.Writer) error { return app.Welcome(out, w) }
			}
			example, err := exampleOf(app.Catalog)
			if err != nil {
				return err
			}
			url := scheme(cfg) + "://" + reachable(at.Addr())
			if made && folder != "" {
				e.handOutKey(folder, localkey.Access{URL: url, Key: cfg.OperatorKey.Reveal()})
			}
			return say(Welcome{
				Example:  example,
				Name:     app.Name,
				URL:      url,
				Admin:    "http://" + cfg.AdminAddr,
				Key:      cfg.OperatorKey.Reveal(),
				Database: cfg.DatabaseURL.Redacted(),
				Embedded: inProcess.started(),
			}, out)
		},
	}.run(ctx)
}

// handOutKey lets commands of the same user find the operator's key that was made at the start, until the program ends.
func (e *Env) handOutKey(folder string, access localkey.Access) {
	file := localkey.In(folder)
	remove, err := localkey.Write(file, access)
	if err != nil {
		e.Logger.Warn("commands can't find the operator's key by themselves: set PAIDUI_OPERATOR_KEY for them", "file", file, "error", err)
		return
	}
	e.closers = append(e.closers, remove)
}

// Welcome is what local has to say when it is ready.
type Welcome struct {
	Name     string
	URL      string // of the API, without a slash at its end
	Admin    string // the admin address's URL, likewise
	Key      string // the operator's
	Database string // its URL, without the password; "" without one
	Embedded bool   // whether a Redis is in this process
	Example  string // the JSON with which POST /v1/tasks enqueues a task of the program's; "" without tasks
}

// Print writes where the parts are, and how to call the API.
func (w Welcome) Print(out io.Writer) error {
	database := w.Database
	if database == "" {
		database = "none: no history is kept, and there are no durable tasks"
	}
	text := fmt.Sprintf(`
  %s is ready.  %s

    API, described     %s/docs
    health, metrics    %s/readyz  %s/metrics
    database           %s
    operator key       %s
`, w.Name, w.URL, w.URL, w.Admin, w.Admin, database, w.Key)
	if w.Embedded {
		text += "\n  Redis is embedded: queued tasks and results are gone when this process ends.\n"
	}
	text += fmt.Sprintf(`
  The tasks that there are:
    curl -s %s/v1/task-types -H 'Authorization: Bearer %s'
`, w.URL, w.Key)
	if w.Example != "" {
		text += fmt.Sprintf(`
  Run one, with arguments of yours, and see what becomes of it:
    curl -s -X POST %s/v1/tasks -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' -d '%s'
    curl -s %s/v1/tasks -H 'Authorization: Bearer %s'
`, w.URL, w.Key, strings.ReplaceAll(w.Example, "'", `'\''`), w.URL, w.Key)
	}
	_, err := io.WriteString(out, text+"\n")
	return err
}

// exampleOf is Welcome.Example: the catalog's first task.
func exampleOf(catalog *tasks.Catalog) (string, error) {
	for _, spec := range catalog.All() {
		call, err := server.ExampleCall(spec)
		return string(call), err
	}
	return "", nil
}

func withPort(cfg config.Config, port string) config.Config {
	if host, _, err := net.SplitHostPort(cfg.HTTPAddr); err == nil {
		cfg.HTTPAddr = net.JoinHostPort(host, port)
	}
	return cfg
}

// freeAdminAddr is addr, or the same host with a free port when addr's is taken.
func freeAdminAddr(addr string) (string, error) {
	ln, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		host, _, splitErr := net.SplitHostPort(addr)
		if splitErr != nil {
			return "", fmt.Errorf("PAIDUI_ADMIN_ADDR: %w", splitErr)
		}
		ln, err = net.Listen("tcp", net.JoinHostPort(host, "0"))
	}
	if err != nil {
		return "", fmt.Errorf("PAIDUI_ADMIN_ADDR: %w", err)
	}
	return ln.Addr().String(), ln.Close()
}

// reachable is the listening address as a client on this machine writes it.
func reachable(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return addr.String()
	}
	host := tcp.IP.String()
	if tcp.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, fmt.Sprint(tcp.Port))
}

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
	"text/template"
	"time"

	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/redisx/embedded"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks/catalog"
)

// Local runs the API, a worker and a scheduler in this process until ctx ends. What the configuration leaves out it
// makes: an embedded Redis, the database's folder, secrets, a small set of data, and a free port when the usual one is
// taken. Where to go is written to out.
func Local(ctx context.Context, cfg config.Config, out io.Writer) error {
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
	if cfg.BackendURL == defaultBackendURL {
		cfg.BackendURL = scheme(cfg) + "://" + reachable(at.Addr())
	}
	if cfg.AdminAddr, err = freeAdminAddr(cfg.AdminAddr); err != nil {
		return err
	}
	if cfg.JWTSecret == "" {
		cfg.JWTSecret = config.Secret(rand.Text() + rand.Text())
	}
	if cfg.OperatorKey == "" {
		cfg.OperatorKey = config.Secret(rand.Text())
	}
	if file, ok := strings.CutPrefix(cfg.DatabaseURL.Reveal(), "sqlite://"); ok && file != ":memory:" {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return fmt.Errorf("%s: %w", models.Setting, err)
		}
	}
	inProcess := cfg.BrokerURL == "" || cfg.CacheURL == ""
	if inProcess {
		// It outlives ctx: the parts that drain still need it.
		e, err := embedded.Start(context.WithoutCancel(ctx))
		if err != nil {
			return err
		}
		defer e.Close()
		if cfg.BrokerURL == "" {
			cfg.BrokerURL = config.URL(e.URL(1))
		}
		if cfg.CacheURL == "" {
			cfg.CacheURL = config.URL(e.URL(2))
		}
	}
	return boot{
		program:  config.Local,
		config:   cfg,
		database: true,
		migrates: true,
		http:     at,
		assemble: func(ctx context.Context, e *Env) error {
			if err := shop.Migrate(ctx, e.Stores.DB); err != nil {
				return err
			}
			if err := errors.Join(e.openOutbox(), e.openFeatures()); err != nil {
				return err
			}
			if _, err := catalog.Seed(ctx, e.Stores.DB, time.Now()); err != nil {
				return err
			}
			e.embedded = inProcess
			_, err := e.addScheduler(ctx)
			if err := errors.Join(err, e.addAPI(), e.addWorker()); err != nil {
				return err
			}
			e.addCaches()
			e.addOutbox()
			return welcome.Execute(out, map[string]any{
				"URL":      scheme(cfg) + "://" + reachable(at.Addr()),
				"Admin":    "http://" + cfg.AdminAddr,
				"Key":      cfg.OperatorKey.Reveal(),
				"Database": cfg.DatabaseURL.Redacted(),
				"Embedded": inProcess,
				"Outbox":   cfg.SMSProvider == config.SMSOutbox,
			})
		},
	}.run(ctx)
}

// defaultBackendURL is what Local replaces by the address that it really has.
const defaultBackendURL = "http://127.0.0.1:8000"

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

var welcome = template.Must(template.New("welcome").Parse(`
  Paidui is ready.  {{.URL}}  (the shop: log in, press Buy now 秒杀)

    API, described     {{.URL}}/docs
    health, metrics    {{.Admin}}/readyz  {{.Admin}}/metrics
    database           {{.Database}}
    operator key       {{.Key}}
{{- if .Embedded}}

  Redis is embedded: queued tasks, results and the cache are gone when this process ends. The database stays.
{{- end}}

  A task, and its result:
    curl -s -X POST {{.URL}}/v1/tasks -H 'Authorization: Bearer {{.Key}}' -H 'Content-Type: application/json' -d '{"task":"demo.add","args":{"n":10,"m":20},"id":"my-first"}'
    curl -s '{{.URL}}/v1/tasks/my-first?wait=5s' -H 'Authorization: Bearer {{.Key}}'

  One that starts in three seconds, followed until its end; and the history, a second or two late:
    curl -s -X POST {{.URL}}/v1/tasks -H 'Authorization: Bearer {{.Key}}' -H 'Content-Type: application/json' -d '{"task":"demo.add","args":{"n":1,"m":2},"id":"my-second","countdown":"3s"}'
    curl -sN {{.URL}}/v1/tasks/my-second/events -H 'Authorization: Bearer {{.Key}}'
    curl -s '{{.URL}}/v1/tasks?task=demo.add' -H 'Authorization: Bearer {{.Key}}'

  1. An SMS code:
    curl -s -X POST {{.URL}}/v1/sms -H 'Content-Type: application/json' -d '{"mobile":"13800138000"}'
{{- if .Outbox}}
    CODE=$(curl -s '{{.URL}}/v1/outbox?mobile=13800138000' | grep -o '"code":"[0-9]*"' | head -n 1 | cut -d '"' -f 4); echo $CODE
    TOKEN=$(curl -s -X POST {{.URL}}/v1/login -H 'Content-Type: application/json' -d '{"mobile":"13800138000","code":"'$CODE'"}' | grep -o '"token":"[^"]*"' | cut -d '"' -f 4); echo $TOKEN
{{- end}}

  2. A flash-sale order:
    TASK=$(curl -s -X POST {{.URL}}/v1/seckill -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d '{"goods_id":1}' | grep -o '"task_id":"[^"]*"' | cut -d '"' -f 4); echo $TASK
    curl -s "{{.URL}}/v1/seckill?task_id=$TASK"

  3. A cache that follows the database:
    curl -s {{.URL}}/v1/banners
    curl -s -X PUT {{.URL}}/v1/banners/1 -H 'Authorization: Bearer {{.Key}}' -H 'Content-Type: application/json' -d '{"title":"Changed"}'
    curl -s {{.URL}}/v1/banners

  4. Users, followings, counts, rankings and articles, from caches too:
    curl -s {{.URL}}/v1/users/1
    curl -s -X POST {{.URL}}/v1/followings/1 -H "Authorization: Bearer $TOKEN"
    curl -s {{.URL}}/v1/users/1/count
    curl -s '{{.URL}}/v1/rankings/articles?top=1'
    curl -s -X POST {{.URL}}/v1/articles -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d '{"title":"Hello","content":"from the queue"}'
    curl -s {{.URL}}/v1/articles/5

`))

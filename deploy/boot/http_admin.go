package boot

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"net/http/pprof"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/paidui/paidui/api/server"
)

// checkLimit is how long one readiness check may take.
const checkLimit = 2 * time.Second

// AdminOptions are what Admin serves.
type AdminOptions struct {
	Name     string                                        // of the program
	Registry *prometheus.Registry                          // served as /metrics; must be set
	Checks   map[string]func(ctx context.Context) error    // of readiness; called concurrently, at most 2 s each
	Notes    map[string]func(ctx context.Context) []string // what makes it worse but not unready; called as the checks
	Stopping <-chan struct{}                               // closed when the program begins to stop; nil for never

	Pprof        bool                 // serve profiles to anybody
	OperatorKey  string               // ... or to whoever sends it as bearer token; "" for nobody
	OperatorKeys *server.OperatorKeys // ... or to whoever sends that of an operator; nil for nobody
}

// Admin serves what operators and their tools ask a process:
//
//	/healthz      200 for as long as the process answers at all
//	/readyz       200 when every check passes, else 503; JSON with each check's "ok" or error, and notes of what is
//	              wrong but does not keep the process from its work
//	/metrics      Prometheus metrics
//	/debug/pprof  profiles, which show command lines and can slow the process down: see Pprof
//
// The others have no access control: the address must not be public.
func Admin(o AdminOptions) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "ok", "name": o.Name, "version": Version()})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { o.ready(w, r) })
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.Registry, promhttp.HandlerOpts{Registry: o.Registry}))
	for pattern, profile := range map[string]http.HandlerFunc{
		"GET /debug/pprof/":        pprof.Index,
		"GET /debug/pprof/cmdline": pprof.Cmdline,
		"GET /debug/pprof/profile": pprof.Profile,
		"GET /debug/pprof/symbol":  pprof.Symbol,
		"POST /debug/pprof/symbol": pprof.Symbol,
		"GET /debug/pprof/trace":   pprof.Trace,
	} {
		mux.HandleFunc(pattern, o.profiles(profile))
	}
	return mux
}

// profiles lets those pass who may see profiles.
func (o AdminOptions) profiles(next http.HandlerFunc) http.HandlerFunc {
	if o.Pprof {
		return next
	}
	key := sha256.Sum256([]byte("Bearer " + o.OperatorKey))
	return func(w http.ResponseWriter, r *http.Request) {
		given := sha256.Sum256([]byte(r.Header.Get("Authorization"))) // so that the time tells nothing of the key
		if o.OperatorKey != "" && subtle.ConstantTimeCompare(given[:], key[:]) == 1 {
			next(w, r)
			return
		}
		if token, bearer := server.Bearer(r); bearer {
			if _, role, ok := o.OperatorKeys.Match(token); ok && role == server.RoleOperator {
				next(w, r)
				return
			}
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="paidui"`)
		http.Error(w, "profiles need the operator's key as bearer token, or PAIDUI_PPROF=true", http.StatusUnauthorized)
	}
}

// readiness is the answer of /readyz.
type readiness struct {
	Status string            `json:"status"` // "ready", "not ready" or "stopping"
	Checks map[string]string `json:"checks"` // "ok" or the error, by name
	Notes  []string          `json:"notes,omitempty"`
}

func (o AdminOptions) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), checkLimit)
	defer cancel()
	var (
		mu    sync.Mutex
		wait  sync.WaitGroup
		ready = readiness{Status: "ready", Checks: map[string]string{}}
	)
	for name, check := range o.Checks {
		wait.Go(func() {
			err := check(ctx)
			mu.Lock()
			defer mu.Unlock()
			ready.Checks[name] = "ok"
			if err != nil {
				ready.Checks[name] = err.Error()
				ready.Status = "not ready"
			}
		})
	}
	for _, notes := range o.Notes {
		wait.Go(func() {
			list := notes(ctx)
			mu.Lock()
			defer mu.Unlock()
			ready.Notes = append(ready.Notes, list...)
		})
	}
	wait.Wait()
	slices.Sort(ready.Notes)
	select {
	case <-o.Stopping:
		ready.Status = "stopping"
	default:
	}
	status := http.StatusOK
	if ready.Status != "ready" {
		status = http.StatusServiceUnavailable
	}
	answer(w, status, ready)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// The only error left is that the client has gone.
	_ = json.NewEncoder(w).Encode(body)
}

// NewRegistry is a registry with the metrics that every process has: of Go, of the process, and paidui_build_info
// with the program's name and version.
func NewRegistry(name string) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "paidui_build_info",
		Help:        "Always 1; its labels tell the program and its version.",
		ConstLabels: prometheus.Labels{"name": name, "version": Version()},
	})
	build.Set(1)
	registry.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

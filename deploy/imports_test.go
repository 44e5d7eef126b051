package deploy_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	module = "github.com/paidui/paidui"
	root   = "deploy/boot" // assembles programs of an application; main packages and applications alone import it
	shops  = "deploy/shop" // the application of this repository's programs
)

// shopless are the packages of the shop, of which the framework's root knows none.
func shopless(target string) bool {
	return target == shops || target == "api/web" || slices.Contains(shopsOwn, target)
}

// layers says which layers each layer may import; a package may import its own layer only where it is listed.
// Main packages, and the composition root that they share, stand above all.
var layers = map[string][]string{
	"yaml":      {},
	"models":    {"models"},
	"format":    {"models"},
	"broker":    {"models", "format"},
	"fetch":     {"models", "format", "broker"},
	"tasks":     {"models", "broker", "fetch"},
	"outbox":    {"models", "broker", "tasks"},
	"refresh":   {"models", "broker", "tasks", "outbox"},
	"kept":      {"models", "broker", "tasks", "outbox", "refresh"},
	"schedule":  {"models", "broker", "tasks", "outbox", "yaml"},
	"job":       {"models", "broker", "tasks", "outbox", "refresh", "kept"},
	"bulk":      {"models", "broker", "tasks", "outbox", "job"},
	"catalog":   {"models", "broker", "tasks", "outbox", "refresh", "kept", "job"},
	"api":       {"models", "broker", "tasks", "outbox", "schedule", "job", "bulk", "api"},
	"shop":      {"models", "broker", "tasks", "outbox", "schedule", "refresh", "kept", "job", "bulk", "catalog", "api", "shop"},
	"worker":    {"models", "broker", "fetch", "tasks", "outbox", "refresh", "kept", "job", "catalog", "worker"},
	"scheduler": {"models", "broker", "tasks", "outbox", "schedule", "refresh", "kept", "job", "catalog", "scheduler"},
	"config":    {"yaml"},
	"ctl":       {"ctl", "local key"}, // HTTP alone
	"local key": {},
	"deploy":    {"models", "broker", "tasks", "outbox", "refresh", "kept", "job", "catalog", "deploy"},
	"testing":   {"models", "broker", "fetch", "tasks", "outbox", "refresh", "testing"},
}

// source is what the rules need to know of one Go file. Dir is relative to the module, with slashes.
type source struct {
	dir, file string
	main      bool
	imports   []string // of this module, relative to it
	others    []string // of other modules and of the standard library
	asynq     bool     // whether it imports asynq
	inits     []token.Position
}

func (s source) isTest() bool { return strings.HasSuffix(s.file, "_test.go") }

// layerOf names the layer of a library package.
func layerOf(dir string) string {
	top, rest, _ := strings.Cut(dir, "/")
	switch {
	case dir == "deploy/testenv" || strings.HasSuffix(dir, "test"):
		return "testing"
	case dir == "deploy/config":
		return "config"
	case dir == "deploy/ctl" || strings.HasPrefix(dir, "deploy/ctl/"):
		return "ctl"
	case dir == "deploy/localkey":
		return "local key"
	case dir == "api/shop":
		return "shop" // an application on api/server
	case dir == "models/plainyaml":
		return "yaml" // below all
	case dir == "tasks/broker":
		return "broker"
	case dir == "tasks/broker/fetch":
		return "fetch"
	case dir == "tasks/broker/internal/format":
		return "format"
	case dir == "tasks/banners", dir == "tasks/profiles", dir == "tasks/articles":
		return "kept" // values that jobs read
	case dir == "tasks/bulk": // what the history finds
		return "bulk"
	case dir == "tasks/outbox", dir == "tasks/refresh", dir == "tasks/catalog", dir == "tasks/schedule":
		return rest
	case top == "tasks" && rest != "":
		return "job"
	}
	return top
}

// shopsOwn are the packages of the shop, or of applications that keep values as it does, which api/server does without.
var shopsOwn = []string{
	"api/shop", "models/shop", "models/cache", "tasks/articles", "tasks/banners", "tasks/catalog", "tasks/counter", "tasks/following",
	"tasks/profiles", "tasks/refresh", "tasks/seckill", "tasks/sms",
}

// reachesStores says which import of the file has a database or a Redis in hand.
func reachesStores(s source) []string {
	return slices.DeleteFunc(slices.Clone(s.others), func(target string) bool {
		return target != "database/sql" && !strings.HasPrefix(target, "gorm.io/") && !strings.HasPrefix(target, "github.com/redis/")
	})
}

// broken says which import of the file breaks the rules, and why.
func broken(s source) []string {
	var found []string
	for _, target := range s.imports {
		if why := refuse(s, target); why != "" {
			found = append(found, fmt.Sprintf("%s/%s imports %s: %s", s.dir, s.file, target, why))
		}
	}
	return found
}

func refuse(s source, target string) string {
	from, to := layerOf(s.dir), layerOf(target)
	composes := s.main || s.dir == root || s.dir == shops
	// Tests of the whole.
	everything := s.isTest() && slices.Contains([]string{"deploy", "deploy/e2e"}, s.dir)
	switch {
	case target == s.dir: // an external test package
		return ""
	case to == "testing" && !s.isTest() && from != "testing" && !slices.Contains([]string{"deploy/bench", "deploy/chaos"}, s.dir):
		return "only tests, the benchmark and the chaos may"
	case s.dir == "deploy/testenv":
		return "it serves the tests of every package and knows none"
	case to == "testing":
		return ""
	case to == "fetch" && s.isTest(): // what a package stores, a worker of its tests runs
		return ""
	case to == "config" && !composes:
		return "only a main package and " + root + " read the configuration; take what you need as an argument"
	case (target == root || target == shops) && !s.main && !everything && s.dir != shops:
		return "only a main package starts programs"
	case to == "ctl" && from != "ctl" && !s.main && !everything:
		return "the operator's commands draw on terminals: only a main package adds them to its program"
	case s.dir == root && shopless(target):
		return root + " starts any application, and knows none"
	case from == "api" && slices.Contains(shopsOwn, target):
		return "the API serves any application, and knows none"
	case slices.Contains([]string{"api", "worker", "scheduler"}, to) && from != to && from != "deploy" && (from != "shop" || to != "api"):
		return "api, worker and scheduler do not know each other"
	case composes || everything:
		return ""
	case from == "refresh" && to == "kept" && s.isTest(): // which are what it refreshes
		return ""
	case layers[from] == nil:
		return "the package is in no layer"
	case !slices.Contains(layers[from], to):
		return fmt.Sprintf("%s may import %v only", from, layers[from])
	}
	return ""
}

// moduleFiles are the files of the module whose names end so, by their paths from here.
func moduleFiles(t *testing.T, extension string) []string {
	t.Helper()
	var names []string
	require.NoError(t, filepath.WalkDir("..", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := entry.Name()
		if entry.IsDir() {
			if name != ".." && (strings.HasPrefix(base, ".") || base == "testdata" || base == "node_modules" || base == "bin") {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil && name != ".." { // a module of its own
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(base, extension) {
			names = append(names, name)
		}
		return nil
	}))
	return names
}

// sources parses every Go file of the module.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	files := token.NewFileSet()
	for _, name := range moduleFiles(t, ".go") {
		parsed, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		relative, err := filepath.Rel("..", filepath.Dir(name))
		require.NoError(t, err)
		all = append(all, read(files, parsed, filepath.ToSlash(relative), filepath.Base(name)))
	}
	return all
}

func read(files *token.FileSet, parsed *ast.File, dir, file string) source {
	s := source{dir: dir, file: file, main: parsed.Name.Name == "main"}
	for _, spec := range parsed.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if rest, ours := strings.CutPrefix(target, module+"/"); err == nil && ours {
			s.imports = append(s.imports, path.Clean(rest))
		} else if err == nil {
			s.others = append(s.others, target)
		}
		s.asynq = s.asynq || target == "github.com/hibiken/asynq"
	}
	for _, declaration := range parsed.Decls {
		if f, ok := declaration.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
			s.inits = append(s.inits, files.Position(f.Pos()))
		}
	}
	return s
}

func TestImportsRunOneWay(t *testing.T) {
	t.Parallel()
	all := sources(t)
	require.Greater(t, len(all), 20, "the module's files were not found")
	for _, s := range all {
		for _, message := range broken(s) {
			t.Error(message)
		}
	}
}

// doors are the packages that speak to asynq, and what of it.
var doors = map[string]string{
	"tasks":              "the handler that asynq calls, and the configuration of its server",
	"tasks/broker/fetch": "the Redis client that asynq's server gets",
	"tasks/taskstest":    "a server for tests",
	"worker/pool":        "the server",
	"tasks/metrics":      "the inspector for the sizes of queues",
	"deploy/bench":       "plain asynq, to compare with",
}

func TestImportsOfAsynq(t *testing.T) {
	t.Parallel()
	opened := make(map[string]bool)
	for _, s := range sources(t) {
		if !s.asynq || s.isTest() || layerOf(s.dir) == "testing" && s.dir != "tasks/taskstest" {
			continue
		}
		opened[s.dir] = true
		if doors[s.dir] == "" {
			t.Errorf("%s/%s imports asynq: go through one of %v", s.dir, s.file, slices.Sorted(maps.Keys(doors)))
		}
	}
	for dir := range doors {
		if !opened[dir] {
			t.Errorf("%s does not import asynq any more: take it off the list", dir)
		}
	}
}

// TestImportsOfTheAPI: the API has no SQL, opens no transaction and knows no key of Redis; the packages under tasks and models
// do.
func TestImportsOfTheAPI(t *testing.T) {
	t.Parallel()
	found := 0
	for _, s := range sources(t) {
		if !slices.Contains([]string{"api/server", "api/shop"}, s.dir) || s.isTest() {
			continue
		}
		found++
		for _, target := range reachesStores(s) {
			t.Errorf("%s/%s imports %s: let the package of the data do it", s.dir, s.file, target)
		}
	}
	require.Greater(t, found, 40, "the API's files were not found")
	stores := []string{"database/sql", "gorm.io/gorm/clause", "github.com/redis/go-redis/v9"}
	require.Equal(t, stores, reachesStores(source{others: append([]string{"fmt", "github.com/labstack/echo/v4"}, stores...)}))
}

func TestImportsHaveNoInit(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		for _, position := range s.inits {
			t.Errorf("%s: func init: make what is needed where it is needed", position)
		}
	}
}

func TestImportRules(t *testing.T) {
	t.Parallel()
	library, test := "x.go", "x_test.go"
	for _, tc := range []struct {
		dir, file string
		main      bool
		target    string
		allowed   bool
	}{
		{"tasks", library, false, "models", true},
		{"models", library, false, "tasks", false},
		{"models/cache", library, false, "tasks/broker", false},
		{"models", test, false, "tasks", false},
		{"tasks", library, false, "tasks/broker", true},
		{"tasks/broker", library, false, "tasks", false},
		{"tasks/broker", library, false, "tasks/broker/fetch", false},
		{"tasks/broker", test, false, "tasks/broker/fetch", true},
		{"tasks/broker/fetch", library, false, "tasks/broker", true},
		{"tasks/broker/fetch", library, false, "tasks", false},
		{"tasks/broker/internal/format", library, false, "tasks/broker", false},
		{"tasks", library, false, "tasks/broker/fetch", true},
		{"tasks/history", library, false, "tasks/broker/fetch", false},
		{"tasks/history", test, false, "tasks/broker/fetch", true},
		{"tasks/bulk", library, false, "tasks/history", true},
		{"tasks/history", library, false, "tasks/bulk", false},
		{"tasks/sms", library, false, "tasks/bulk", false},
		{"api/server", library, false, "tasks/bulk", true},
		{"worker/pool", library, false, "tasks/broker/fetch", true},
		{"api/server", library, false, "tasks/broker/fetch", false},
		{"tasks", library, false, "tasks/sms", false},
		{"tasks/sms", library, false, "tasks", true},
		{"tasks/sms", library, false, "tasks/seckill", false},
		{"tasks/sms", library, false, "tasks/outbox", true},
		{"tasks/sms", library, false, "tasks/refresh", true},
		{"tasks/refresh", library, false, "tasks/outbox", true},
		{"tasks/refresh", library, false, "tasks/sms", false},
		{"tasks/outbox", library, false, "tasks/refresh", false},
		{"tasks/profiles", library, false, "tasks/refresh", true},
		{"tasks/profiles", library, false, "tasks/articles", false},
		{"tasks/counter", library, false, "tasks/profiles", true},
		{"tasks/refresh", library, false, "tasks/profiles", false},
		{"tasks/refresh", test, false, "tasks/profiles", true},
		{"tasks/profiles", test, false, "tasks/refresh/refreshtest", true},
		{"tasks/catalog", library, false, "tasks/sms", true},
		{"tasks/sms", library, false, "api/server", false},
		{"api/server", library, false, "tasks/history", true},
		{"api/server", library, false, "tasks/sms", false},
		{"api/server", test, false, "tasks/sms", false},
		{"api/server", library, false, "models/cache", false},
		{"api/server", library, false, "models/shop", false},
		{"api/server", library, false, "api/shop", false},
		{"api/server", test, false, "api/shop", false},
		{"api/server", library, false, "api/server/servertest", false},
		{"api/server", test, false, "api/server/servertest", true},
		{"api/shop", library, false, "api/server", true},
		{"api/shop", library, false, "tasks/sms", true},
		{"api/shop", library, false, "models/cache", true},
		{"api/shop", library, false, "worker/pool", false},
		{"api/shop", library, false, "deploy/config", false},
		{"api/server", library, false, "api/web", true},
		{"api/server", library, false, "worker/pool", false},
		{"api/server", test, false, "worker/pool", false},
		{"api/server", library, false, "deploy/config", false},
		{"api/server", test, false, "deploy/config", false},
		{"api", library, true, "api/server", true},
		{"api", library, true, "deploy/config", true},
		{"api", library, true, "scheduler/beat", false},
		{"worker", library, true, "api/server", false},
		{"deploy/local", library, true, "api/server", true},
		{"deploy/local", library, true, "worker/pool", true},
		{"deploy/local", library, true, "deploy/config", true},
		{"deploy/boot", library, false, "deploy/config", true},
		{"deploy/boot", library, false, "worker/pool", true},
		{"deploy/boot", library, false, "api/server", true},
		{"deploy/boot", library, false, "deploy/shop", false},
		{"deploy/boot", test, false, "deploy/shop", false},
		{"deploy/boot", library, false, "tasks/catalog", false},
		{"deploy/boot", library, false, "tasks/sms", false},
		{"deploy/boot", library, false, "models/cache", false},
		{"deploy/boot", library, false, "api/web", false},
		{"deploy/boot", library, false, "deploy/localkey", true},
		{"deploy/boot", library, false, "deploy/ctl", false},
		{"deploy/shop", library, false, "deploy/ctl/show", false},
		{"deploy/local", library, true, "deploy/ctl", true},
		{"deploy/ctl", library, false, "deploy/ctl/remote", true},
		{"deploy/ctl/remote", library, false, "deploy/localkey", true},
		{"deploy/ctl", library, false, "tasks/broker", false},
		{"deploy/ctl", library, false, "models", false},
		{"deploy/ctl", test, false, "tasks", false},
		{"deploy/ctl/remote", library, false, "deploy/config", false},
		{"deploy/localkey", library, false, "models", false},
		{"deploy/shop", library, false, "deploy/boot", true},
		{"deploy/shop", library, false, "deploy/config", true},
		{"deploy/shop", library, false, "api/shop", true},
		{"deploy/shop", library, false, "tasks/sms", true},
		{"api", library, true, "deploy/shop", true},
		{"api/shop", library, false, "deploy/shop", false},
		{"deploy/boot", test, false, "deploy/testenv", true},
		{"api", library, true, "deploy/boot", true},
		{"api/server", library, false, "deploy/boot", false},
		{"deploy", test, false, "deploy/boot", true},
		{"deploy/config", library, false, "models", false},
		{"deploy/config", library, false, "models/plainyaml", true},
		{"scheduler/beat", library, false, "models/plainyaml", false},
		{"scheduler/beat", library, false, "tasks/schedule", true},
		{"api/server", library, false, "tasks/schedule", true},
		{"tasks/schedule", library, false, "models/plainyaml", true},
		{"tasks/schedule", library, false, "tasks/ticks", false},
		{"tasks/sms", library, false, "tasks/schedule", false},
		{"models/plainyaml", library, false, "models", false},
		{"deploy/config", test, false, "deploy/config", true},
		{"deploy", test, false, "worker/pool", true},
		{"deploy", test, false, "deploy/config", false},
		{"deploy/bench", library, true, "worker/pool", true},
		{"deploy/bench", library, true, "deploy/testenv", true},
		{"deploy/chaos", library, true, "deploy/testenv", true},
		{"tasks/sms", test, false, "deploy/testenv", true},
		{"tasks/sms", library, false, "deploy/testenv", false},
		{"api", library, true, "deploy/testenv", false},
		{"tasks/sms", library, false, "tasks/taskstest", false},
		{"tasks", test, false, "tasks/taskstest", true},
		{"tasks/taskstest", library, false, "tasks", true},
		{"deploy/testenv", library, false, "models", false},
		{"pkg/util", library, false, "models", false},
	} {
		s := source{dir: tc.dir, file: tc.file, main: tc.main, imports: []string{tc.target}}
		if tc.allowed {
			require.Empty(t, broken(s))
		} else {
			require.Len(t, broken(s), 1, "%+v", tc)
		}
	}
}

package deploy_test

import (
	"bytes"
	"cmp"
	"flag"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// public are the packages that other programs build on: see docs/compatibility.md.
var public = []string{
	"api/server", "api/server/servertest", "deploy/boot", "deploy/config", "deploy/ctl", "models", "models/away", "models/redisx", "models/redisx/embedded", "scheduler/beat",
	"tasks", "tasks/audit", "tasks/broker", "tasks/history", "tasks/metrics", "tasks/outbox", "tasks/schedule", "tasks/taskstest", "tasks/ticks", "worker/pool",
}

// publicFile has a line for everything that those packages export.
const publicFile = "docs/api.txt"

var updateAPI = flag.Bool("update-api", false, "write "+publicFile)

// TestPublicAPI tells what a change breaks for other programs.
func TestPublicAPI(t *testing.T) {
	t.Parallel()
	var now []string
	for _, dir := range public {
		now = append(now, exported(t, dir)...)
	}
	slices.Sort(now)
	if *updateAPI {
		require.NoError(t, os.WriteFile(publicFile, []byte(strings.Join(now, "\n")+"\n"), 0o644))
	}
	text, err := os.ReadFile(publicFile)
	require.NoError(t, err)
	before := strings.Split(strings.TrimSpace(string(text)), "\n")
	gone, added := difference(before, now), difference(now, before)
	if len(gone)+len(added) == 0 {
		return
	}
	for _, line := range gone {
		t.Logf("breaks other programs: gone or changed: %s", line)
	}
	for _, line := range added {
		t.Logf("new: %s", line)
	}
	t.Fatalf("what is exported is not what %s says: if it is meant, run go test ./deploy -run TestPublicAPI -update-api, and tell in docs/compatibility.md of what breaks", publicFile)
}

// difference are the lines of a sorted list that another does not have.
func difference(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(line string) bool {
		_, there := slices.BinarySearch(other, line)
		return there
	})
}

// exported lists what a package exports, a line each, as "tasks: func NewClient(...) *Client".
func exported(t *testing.T, dir string) (lines []string) {
	t.Helper()
	files := token.NewFileSet()
	names, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
	require.NoError(t, err)
	found := false
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		found = true
		for _, declaration := range parsed.Decls {
			for _, line := range exportedBy(declaration) {
				lines = append(lines, dir+": "+line)
			}
		}
	}
	require.True(t, found, "%s has no files", dir)
	return lines
}

func exportedBy(declaration ast.Decl) (lines []string) {
	switch d := declaration.(type) {
	case *ast.FuncDecl:
		if !d.Name.IsExported() || d.Recv != nil && !exportedType(d.Recv.List[0].Type) {
			return nil
		}
		return []string{oneLine(&ast.FuncDecl{Recv: d.Recv, Name: d.Name, Type: d.Type})}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.ValueSpec:
				for _, name := range s.Names {
					if name.IsExported() {
						lines = append(lines, strings.TrimSpace(d.Tok.String()+" "+name.Name+" "+oneLine(s.Type)))
					}
				}
			case *ast.TypeSpec:
				if s.Name.IsExported() {
					lines = append(lines, exportedFields(s)...)
				}
			}
		}
	}
	return lines
}

// exportedFields is a line for the type, and one for each field that others can use, or each method of an interface.
func exportedFields(s *ast.TypeSpec) (lines []string) {
	name := s.Name.Name
	if s.TypeParams != nil {
		name += "[" + oneLine(s.TypeParams) + "]"
	}
	switch of := s.Type.(type) {
	case *ast.StructType:
		lines = append(lines, "type "+name+" struct")
		for _, field := range of.Fields.List {
			for _, one := range field.Names {
				if one.IsExported() {
					lines = append(lines, "type "+name+" struct, "+one.Name+" "+oneLine(field.Type))
				}
			}
			if len(field.Names) == 0 {
				lines = append(lines, "type "+name+" struct, embeds "+oneLine(field.Type))
			}
		}
	case *ast.InterfaceType:
		lines = append(lines, "type "+name+" interface")
		for _, method := range of.Methods.List {
			lines = append(lines, "type "+name+" interface, "+cmp.Or(names(method), "embeds")+" "+oneLine(method.Type))
		}
	default:
		assign := ""
		if s.Assign.IsValid() {
			assign = "= "
		}
		lines = append(lines, "type "+name+" "+assign+oneLine(s.Type))
	}
	return lines
}

func names(f *ast.Field) string {
	var all []string
	for _, n := range f.Names {
		all = append(all, n.Name)
	}
	return strings.Join(all, ", ")
}

func exportedType(of ast.Expr) bool {
	switch e := of.(type) {
	case *ast.StarExpr:
		return exportedType(e.X)
	case *ast.IndexExpr:
		return exportedType(e.X)
	case *ast.IndexListExpr:
		return exportedType(e.X)
	case *ast.Ident:
		return e.IsExported()
	}
	return false
}

var spaces = regexp.MustCompile(`\s+`)

// oneLine is a node's text in one line; "" of nil.
func oneLine(node any) string {
	if e, ok := node.(ast.Expr); ok && e == nil {
		return ""
	}
	switch n := node.(type) {
	case nil:
		return ""
	case *ast.FieldList:
		var all []string
		for _, f := range n.List {
			all = append(all, names(f)+" "+oneLine(f.Type))
		}
		return strings.Join(all, ", ")
	}
	var text bytes.Buffer
	if err := printer.Fprint(&text, token.NewFileSet(), node); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(spaces.ReplaceAllString(text.String(), " "))
}

// TestPublicAPITellsAChange has the test find what it should.
func TestPublicAPITellsAChange(t *testing.T) {
	t.Parallel()
	lines := func(source string) (all []string) {
		parsed, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\n"+source, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, d := range parsed.Decls {
			all = append(all, exportedBy(d)...)
		}
		slices.Sort(all)
		return all
	}
	before := lines(`
		type T[A any] struct { N int; hidden bool }
		type I interface { Do(n int) error; io.Closer }
		type hidden struct{}
		const Limit, limit = 1, 2
		var ErrA error
		func (t *T[A]) Get(name string) (A, error) { return nil, nil }
		func (h hidden) Get() {}
		func Open(ctx context.Context,
			url string) error { return nil }`)
	require.Equal(t, []string{
		"const Limit", "func (t *T[A]) Get(name string) (A, error)", "func Open(ctx context.Context, url string) error",
		"type I interface", "type I interface, Do func(n int) error", "type I interface, embeds io.Closer",
		"type T[A any] struct", "type T[A any] struct, N int", "var ErrA error",
	}, before)
	after := lines(`func Open(url string) error { return nil }`)
	require.Equal(t, []string{"func Open(url string) error"}, difference(after, before))
	require.Contains(t, difference(before, after), "func Open(ctx context.Context, url string) error")
	_, err := fs.Stat(os.DirFS("."), publicFile)
	require.NoError(t, err)
}

package newtask

import (
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var moduleLine = regexp.MustCompile(`(?m)^module\s+"?([^\s"]+)"?`)

// moduleOf finds the module that a folder belongs to.
func moduleOf(dir string) (root, module string, err error) {
	if info, err := os.Stat(dir); err != nil {
		return "", "", fmt.Errorf("--dir: %w", err)
	} else if !info.IsDir() {
		return "", "", fmt.Errorf("--dir: %s is not a folder", dir)
	}
	root = dir
	for {
		text, err := os.ReadFile(filepath.Join(root, "go.mod"))
		if err == nil {
			found := moduleLine.FindSubmatch(text)
			if found == nil {
				return "", "", fmt.Errorf("%s names no module", filepath.Join(root, "go.mod"))
			}
			return root, string(found[1]), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", "", err
		}
		absolute, err := filepath.Abs(root)
		if err != nil {
			return "", "", err
		}
		if absolute == filepath.Dir(absolute) {
			return "", "", fmt.Errorf("--dir: %s is in no Go module: begin one with new-app", dir)
		}
		root = filepath.Join(root, "..")
	}
}

// source is a Go file.
type source struct {
	name string
	text []byte
	ast  *ast.File
}

// sourcePackage is a package's files, in one folder; tests too.
type sourcePackage struct {
	name     string // "" without files
	files    []source
	tests    []source
	position *token.FileSet
}

// readPackage reads the Go files of a folder, which need not be there.
func readPackage(dir string) (*sourcePackage, error) {
	p := &sourcePackage{position: token.NewFileSet()}
	names, err := filepath.Glob(filepath.Join(escapeGlob(dir), "*.go"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		parsed, err := parser.ParseFile(p.position, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("it must compile first: %w", err)
		}
		s := source{name, text, parsed}
		if strings.HasSuffix(name, "_test.go") {
			p.tests = append(p.tests, s)
			continue
		}
		p.files = append(p.files, s)
		p.name = parsed.Name.Name
	}
	return p, nil
}

func escapeGlob(dir string) string {
	return strings.NewReplacer(`[`, `\[`, `*`, `\*`, `?`, `\?`).Replace(dir)
}

// declares tells whether the package, or a test of it, has that identifier at its top.
func (p *sourcePackage) declares(ident string) bool {
	for _, s := range slices.Concat(p.files, p.tests) {
		for _, d := range s.ast.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil && d.Name.Name == ident {
					return true
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						if spec.Name.Name == ident {
							return true
						}
					case *ast.ValueSpec:
						if slices.ContainsFunc(spec.Names, func(n *ast.Ident) bool { return n.Name == ident }) {
							return true
						}
					}
				}
			}
		}
	}
	return false
}

// holds is the file that has the text as a string's; "" without one.
func (p *sourcePackage) holds(text string) (file string) {
	for _, s := range p.files {
		ast.Inspect(s.ast, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				if value, err := strconv.Unquote(literal.Value); err == nil && value == text {
					file = s.name
				}
			}
			return file == ""
		})
	}
	return file
}

// nameOf is how a file calls an import; "" when it lacks it.
func (s source) nameOf(importPath string) string {
	for _, spec := range s.ast.Imports {
		if value, err := strconv.Unquote(spec.Path.Value); err == nil && value == importPath {
			if spec.Name != nil {
				return spec.Name.Name
			}
			return path.Base(importPath)
		}
	}
	return ""
}

func (p *sourcePackage) imports(importPath string) bool {
	return slices.ContainsFunc(p.files, func(s source) bool { return s.nameOf(importPath) != "" })
}

// importedAs is the path of the import that a file of the package calls so.
func (p *sourcePackage) importedAs(name string) string {
	for _, s := range p.files {
		for _, spec := range s.ast.Imports {
			value, err := strconv.Unquote(spec.Path.Value)
			if err == nil && (spec.Name != nil && spec.Name.Name == name || spec.Name == nil && path.Base(value) == name) {
				return value
			}
		}
	}
	return ""
}

// edit is text to be put at a place of a file.
type edit struct {
	at   token.Pos
	text string
}

// place is where to add something.
type place struct {
	file source
	edit
}

// add adds a definition to the one catalog, and a call to where handlers are bound; %s in the call is the mux there. What has no
// place, or more than one, is left to be done by hand.
func (p *sourcePackage) add(definition, call, importPath string) (changed map[string][]byte, left []string, err error) {
	var edits []place
	if at, ok := p.catalogPlace(definition); ok {
		edits = append(edits, at)
	} else {
		left = append(left, "name "+definition+" in the one call of tasks.NewCatalog of the program")
	}
	if at, ok := p.bindPlace(call); ok {
		edits = append(edits, at)
	} else {
		left = append(left, "call "+fmt.Sprintf(call, "mux")+" where the program gives its mux the handlers")
	}
	byFile := make(map[string][]edit)
	texts := make(map[string][]byte)
	for _, e := range edits {
		if importPath != "" && e.file.nameOf(importPath) == "" && len(byFile[e.file.name]) == 0 {
			byFile[e.file.name] = append(byFile[e.file.name], e.file.importPlace(importPath))
		}
		byFile[e.file.name] = append(byFile[e.file.name], e.edit)
		texts[e.file.name] = e.file.text
	}
	changed = make(map[string][]byte)
	for name, list := range byFile {
		if changed[name], err = p.apply(texts[name], list); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return changed, left, nil
}

// apply makes edits, and formats.
func (p *sourcePackage) apply(text []byte, edits []edit) ([]byte, error) {
	slices.SortFunc(edits, func(a, b edit) int { return int(b.at - a.at) })
	text = slices.Clone(text)
	for _, e := range edits {
		text = slices.Insert(text, p.position.Position(e.at).Offset, []byte(e.text)...)
	}
	return format.Source(text)
}

// catalogPlace is behind the last definition of the one call of tasks.NewCatalog.
func (p *sourcePackage) catalogPlace(definition string) (found place, ok bool) {
	calls := 0
	for _, s := range p.files {
		of := s.nameOf(paidui + "/tasks")
		ast.Inspect(s.ast, func(n ast.Node) bool {
			call, isCall := n.(*ast.CallExpr)
			if !isCall || !isSelector(call.Fun, of, "NewCatalog") {
				return true
			}
			calls++
			if call.Ellipsis.IsValid() { // of a list that is made elsewhere
				return true
			}
			if len(call.Args) == 0 {
				found, ok = place{s, edit{call.Rparen, definition}}, true
				return true
			}
			last := call.Args[len(call.Args)-1].End()
			text := ", " + definition
			if p.position.Position(last).Line != p.position.Position(call.Rparen).Line { // one a line
				text = ",\n" + definition
			}
			found, ok = place{s, edit{last, text}}, true
			return true
		})
	}
	return found, ok && calls == 1
}

func isSelector(e ast.Expr, of, name string) bool {
	selector, ok := e.(*ast.SelectorExpr)
	if !ok || of == "" || selector.Sel.Name != name {
		return false
	}
	ident, ok := selector.X.(*ast.Ident)
	return ok && ident.Name == of
}

// bindPlace is the end of the one function that takes a mux. Of several it is the one that itself calls tasks.Handle.
func (p *sourcePackage) bindPlace(call string) (place, bool) {
	var all, handling []place
	for _, s := range p.files {
		of := s.nameOf(paidui + "/tasks")
		ast.Inspect(s.ast, func(n ast.Node) bool {
			var params *ast.FieldList
			var body *ast.BlockStmt
			switch f := n.(type) {
			case *ast.FuncDecl:
				params, body = f.Type.Params, f.Body
			case *ast.FuncLit:
				params, body = f.Type.Params, f.Body
			}
			mux := muxOf(params, of)
			if mux == "" || body == nil {
				return true
			}
			last := body.Lbrace
			if len(body.List) > 0 {
				last = body.List[len(body.List)-1].End()
			}
			text := fmt.Sprintf(call, mux) + "\n"
			if p.position.Position(last).Line == p.position.Position(body.Rbrace).Line {
				text = "\n" + text
			}
			at := place{s, edit{body.Rbrace, text}}
			all = append(all, at)
			if handles(body, of) {
				handling = append(handling, at)
			}
			return true
		})
	}
	if len(handling) == 1 {
		return handling[0], true
	}
	if len(handling) == 0 && len(all) == 1 {
		return all[0], true
	}
	return place{}, false
}

// muxOf is the name of the parameter that is a *tasks.Mux.
func muxOf(params *ast.FieldList, of string) string {
	if params == nil {
		return ""
	}
	for _, field := range params.List {
		pointer, ok := field.Type.(*ast.StarExpr)
		if ok && isSelector(pointer.X, of, "Mux") && len(field.Names) == 1 && field.Names[0].Name != "_" {
			return field.Names[0].Name
		}
	}
	return ""
}

// handles tells whether statements of the body itself call tasks.Handle.
func handles(body *ast.BlockStmt, of string) bool {
	return slices.ContainsFunc(body.List, func(statement ast.Stmt) bool {
		expression, ok := statement.(*ast.ExprStmt)
		if !ok {
			return false
		}
		call, ok := expression.X.(*ast.CallExpr)
		return ok && isSelector(call.Fun, of, "Handle")
	})
}

// importPlace is behind the import that is most like it.
func (s source) importPlace(importPath string) edit {
	text := "\n" + strconv.Quote(importPath)
	best, longest := s.ast.Imports[len(s.ast.Imports)-1], -1
	for _, spec := range s.ast.Imports {
		value, err := strconv.Unquote(spec.Path.Value)
		if err == nil && common(value, importPath) > longest {
			best, longest = spec, common(value, importPath)
		}
	}
	for _, d := range s.ast.Decls {
		imports, ok := d.(*ast.GenDecl)
		if ok && imports.Tok == token.IMPORT && !imports.Lparen.IsValid() && imports.Specs[0] == ast.Spec(best) {
			text = "\nimport " + strconv.Quote(importPath)
		}
	}
	return edit{best.End(), text}
}

// common is how many parts of two paths are the same, from the beginning.
func common(a, b string) (n int) {
	for x, y := strings.Split(a, "/"), strings.Split(b, "/"); n < len(x) && n < len(y) && x[n] == y[n]; {
		n++
	}
	return n
}

// report says what was done.
func report(root string, fresh, changed map[string][]byte, left []string) Done {
	d := Done{Module: root, Left: left}
	tested := make(map[string]bool)
	relative := func(name string) string {
		short, err := filepath.Rel(root, name)
		if err != nil {
			short = name
		}
		short = filepath.ToSlash(short)
		tested["./"+strings.TrimPrefix(path.Dir(short), ".")] = true
		return short
	}
	for _, name := range slices.Sorted(maps.Keys(fresh)) {
		d.Written = append(d.Written, relative(name))
	}
	for _, name := range slices.Sorted(maps.Keys(changed)) {
		d.Changed = append(d.Changed, relative(name))
	}
	for _, name := range slices.Sorted(maps.Keys(tested)) {
		d.Test = append(d.Test, strings.TrimSuffix(name, "/"))
	}
	return d
}

// Package newtask writes the beginning of a task into somebody's source: a definition with its handler, a test, and the lines
// that add it to the catalog.
//
// It knows two shapes of source. Where the module has a folder tasks/catalog, as Paidui's own, the task gets into the folder
// tasks/<room>, which is a package. Else it gets into the package of the program itself. newtask.go has the command and the
// order of things, name.go what a task's name makes of files and identifiers, source.go reads and changes Go files.
package newtask

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"go/format"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/paidui/paidui/deploy/ctl/remote"
)

//go:embed files
var files embed.FS

// paidui is the module's path.
const paidui = "github.com/paidui/paidui"

// Command is the subcommand new-task.
func Command() *cobra.Command {
	dir := "."
	cmd := &cobra.Command{
		Use:   "new-task ROOM.NAME",
		Short: "Write the beginning of a task: a definition, its handler, a test, and the catalog's lines",
		Long: "Write the beginning of a task into your source: a definition, its handler, a test, and the lines that add it to the catalog. It\n" +
			"builds, and its test passes. In a module with a folder tasks/catalog it gets into tasks/ROOM, else into the program's own\n" +
			"package. Nothing that is there is overwritten.",
		Example: "  PROGRAM new-task reports.daily\n  PROGRAM new-task reports.daily --dir ../reports",
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cobra.ExactArgs(1)(cmd, args); err != nil {
				return remote.UsageErrorf("%w; see %s --help", err, cmd.CommandPath())
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&dir, "dir", dir, "the `folder` of the module, or of the program's package in it")
	_ = cmd.MarkFlagDirname("dir") // it is there
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		done, err := Write(dir, args[0])
		if err != nil {
			return err
		}
		return done.print(cmd.OutOrStdout())
	}
	return cmd
}

// Done is what Write has done, by paths relative to the module's folder.
type Done struct {
	Module  string   // its folder
	Written []string // new files
	Changed []string
	Left    []string // what is to be done by hand
	Test    []string // the packages to test, as go test names them
}

func (d Done) print(out io.Writer) error {
	var b strings.Builder
	for _, name := range d.Written {
		fmt.Fprintln(&b, "wrote   ", name)
	}
	for _, name := range d.Changed {
		fmt.Fprintln(&b, "changed ", name)
	}
	for _, text := range d.Left {
		fmt.Fprintln(&b, "to do   ", text)
	}
	fmt.Fprintf(&b, "Next: go test %s\n", strings.Join(d.Test, " "))
	_, err := io.WriteString(out, b.String())
	return err
}

// task is what the templates are filled with.
type task struct {
	taskName
	Paidui      string
	Package     string
	NewPackage  bool   // the folder has no Go files yet
	TestPackage string // of the test
	Import      string // of the package, in the test; "" where it is the same package
	Prefix      string // before its identifiers there
	Bind        string
	Handler     string
	TestMain    bool // the test has one, as those of Paidui's own packages
}

// target is where a task gets.
type target struct {
	folder, base string         // of its files, which are base.go and base_test.go
	room         *sourcePackage // what the folder holds
	definition   string         // how the catalog names it
	bind         string         // the call that binds it; %s is the mux
}

// Write writes the files of a task. With an error nothing has changed.
func Write(dir, name string) (Done, error) {
	parsed, err := parseName(name)
	if err != nil {
		return Done{}, err
	}
	root, module, err := moduleOf(dir)
	if err != nil {
		return Done{}, err
	}
	t := task{taskName: parsed, Paidui: paidui}
	catalogDir := filepath.Join(root, "tasks", "catalog")
	place := t.inRoom
	if info, err := os.Stat(catalogDir); err != nil || !info.IsDir() {
		catalogDir, place = dir, t.inProgram
	}
	catalog, err := readPackage(catalogDir)
	if err != nil {
		return Done{}, err
	}
	if len(catalog.files) == 0 {
		return Done{}, fmt.Errorf("%s has no Go files: name the folder of the program's package with --dir", catalogDir)
	}
	to, err := place(root, module, dir, catalog)
	if err != nil {
		return Done{}, err
	}
	for _, ident := range []string{t.Ident, t.Ident + "Args", t.Handler, t.Bind, "Test" + t.Ident} {
		if to.room.declares(ident) {
			return Done{}, fmt.Errorf("%s declares %s already: choose another name", to.folder, ident)
		}
	}
	if file := to.room.holds(t.Name); file != "" {
		return Done{}, fmt.Errorf("there is a task %s already, in %s", t.Name, file)
	}
	fresh := make(map[string][]byte)
	for template, suffix := range map[string]string{"task.go.tmpl": ".go", "task_test.go.tmpl": "_test.go"} {
		if fresh[filepath.Join(to.folder, to.base+suffix)], err = t.fill(template); err != nil {
			return Done{}, err
		}
	}
	changed, left, err := catalog.add(to.definition, to.bind, t.Import)
	if err != nil {
		return Done{}, err
	}
	if err := save(fresh, changed); err != nil {
		return Done{}, err
	}
	return report(root, fresh, changed, left), nil
}

// inRoom has the task get into a package below tasks, which is there and in the catalog, or new.
func (t *task) inRoom(root, module, _ string, catalog *sourcePackage) (target, error) {
	folder, importPath := filepath.Join(root, "tasks", t.Room), module+"/tasks/"+t.Room
	room, err := readPackage(folder)
	if err != nil {
		return target{}, err
	}
	t.NewPackage = len(room.files) == 0
	if !t.NewPackage && !catalog.imports(importPath) {
		return target{}, fmt.Errorf("%s is there and is no room of tasks, for tasks/catalog does not import it: choose another room", folder)
	}
	if !t.NewPackage && room.name != t.Room {
		return target{}, fmt.Errorf("%s holds package %s: a room's package is called as the room", folder, room.name)
	}
	if by := catalog.importedAs(t.Room); by != "" && by != importPath {
		return target{}, fmt.Errorf("room %q: tasks/catalog imports %s by that name; choose another room", t.Room, by)
	}
	t.Package, t.TestPackage, t.Import, t.Prefix = t.Room, t.Room+"_test", importPath, t.Room+"."
	t.TestMain = module == paidui && !room.declares("TestMain")
	t.Handler, t.Bind = "run"+t.Ident, "Bind"
	if room.declares("Bind") {
		t.Bind = "Bind" + t.Ident
	}
	return target{folder, t.roomFile(), room, t.Prefix + t.Ident, t.Prefix + t.Bind + "(%s)"}, nil
}

// inProgram has the task get into the package of the program, with names that tell it from others there.
func (t *task) inProgram(_, _, dir string, catalog *sourcePackage) (target, error) {
	t.Ident = t.flatIdent()
	t.Package, t.TestPackage = catalog.name, catalog.name
	t.Handler, t.Bind = "run"+t.Ident, "bind"+t.Ident
	return target{dir, t.flatFile(), catalog, t.Ident, t.Bind + "(%s)"}, nil
}

func (t task) fill(name string) ([]byte, error) {
	text, err := template.ParseFS(files, "files/"+name)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := text.Execute(&b, t); err != nil {
		return nil, err
	}
	return format.Source(b.Bytes())
}

// save writes new files and changes others. If one can't be written the others are as they were.
func save(fresh, changed map[string][]byte) (err error) {
	var undo []func() error
	defer func() {
		if err != nil {
			for i := len(undo) - 1; i >= 0; i-- {
				err = errors.Join(err, undo[i]())
			}
		}
	}()
	for name, content := range fresh {
		folder := filepath.Dir(name)
		if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
			if err := os.MkdirAll(folder, 0o755); err != nil {
				return err
			}
			undo = append(undo, func() error { return os.Remove(folder) })
		}
		file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s is there already: nothing is overwritten", name)
		}
		if err != nil {
			return err
		}
		undo = append(undo, func() error { return os.Remove(name) })
		if _, err := file.Write(content); err != nil {
			return errors.Join(err, file.Close())
		}
		if err := file.Close(); err != nil {
			return err
		}
	}
	for name, content := range changed {
		before, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		undo = append(undo, func() error { return os.WriteFile(name, before, info.Mode().Perm()) })
		if err := os.WriteFile(name, content, info.Mode().Perm()); err != nil {
			return err
		}
	}
	return nil
}

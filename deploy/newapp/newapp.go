// Package newapp writes the beginning of somebody's program on Paidui: a Go module of its own with a task, its test, a table, a
// route, a schedule, and the files to build and ship it.
package newapp

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"

	"github.com/spf13/cobra"
)

//go:embed all:files
var files embed.FS

// Options says what to write.
type Options struct {
	Name    string // of the program, as boot.App.Name wants it
	Module  string // the Go module's path; Name when empty
	Version string // of Paidui, as v1.2.3; v0.0.0 when empty, which Replace must stand for
	Replace string // a folder with Paidui's source, which then stands for the version; "" for none
}

var (
	validName   = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	validModule = regexp.MustCompile(`^[A-Za-z0-9._~/-]+$`)
)

// goVersion is what the module's go line, and its image, say.
const goVersion = "1.26"

func (o Options) check() error {
	switch {
	case !validName.MatchString(o.Name):
		return fmt.Errorf("%q is no name of a program: it takes 1 to 32 of a-z 0-9 -, the first a letter", o.Name)
	case !validModule.MatchString(o.Module):
		return fmt.Errorf("%q is no path of a module", o.Module)
	}
	return nil
}

// Write makes the folder, which must not hold anything yet, and fills it. The module still lacks its go.sum: go mod tidy
// makes it.
func Write(dir string, o Options) error {
	if o.Module == "" {
		o.Module = o.Name
	}
	if o.Version == "" {
		o.Version = "v0.0.0"
	}
	if err := o.check(); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty: name a folder that is, or that is not there yet", dir)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return fs.WalkDir(files, "files", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := template.ParseFS(files, name)
		if err != nil {
			return err
		}
		target := filepath.Join(dir, filepath.FromSlash(targetOf(strings.TrimPrefix(name, "files/"))))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		out, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		return errors.Join(text.Execute(out, templateData{o, goVersion}), out.Close())
	})
}

type templateData struct {
	Options
	Go string
}

// targetOf is what a template's file is called in the new module.
func targetOf(name string) string {
	name = strings.TrimSuffix(name, ".tmpl")
	if path.Base(name) == "gitignore" {
		return path.Join(path.Dir(name), ".gitignore")
	}
	return name
}

// Command is the subcommand new-app. version is the program's own.
func Command(version string) *cobra.Command {
	var o Options
	cmd := &cobra.Command{
		Use:   "new-app FOLDER",
		Short: "Begin a program of your own: a Go module with a task, its test, and what ships it",
		Long: "Write a Go module into FOLDER, whose name is the program's: a task with its test, a table, a route, a schedule, a Makefile,\n" +
			"an image and a compose file. It builds, and its tests pass.",
		Args:          cobra.ExactArgs(1),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.Flags().StringVar(&o.Module, "module", "", "path of the Go module, as github.com/you/reports; the program's name when empty")
	cmd.Flags().StringVar(&o.Name, "name", "", "the program's name; that of the folder when empty")
	cmd.Flags().StringVar(&o.Replace, "replace", "", "a folder with Paidui's source to build with, in place of a released version")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dir := args[0]
		if o.Name == "" {
			absolute, err := filepath.Abs(dir)
			if err != nil {
				return err
			}
			o.Name = filepath.Base(absolute)
		}
		if o.Replace != "" {
			absolute, err := filepath.Abs(o.Replace)
			if err != nil {
				return err
			}
			if _, err := os.Stat(filepath.Join(absolute, "go.mod")); err != nil {
				return fmt.Errorf("--replace: %s holds no Go module: %w", o.Replace, err)
			}
			o.Replace = absolute
		} else if o.Version = released(version); o.Version == "" {
			return fmt.Errorf("this program was built of no released version (%s): name the folder of Paidui's source with --replace", version)
		}
		if err := Write(dir, o); err != nil {
			return err
		}
		return tidy(cmd.Context(), cmd.OutOrStdout(), dir)
	}
	return cmd
}

var release = regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+$`)

// released is the version if it is one that others can get, else "".
func released(version string) string {
	if release.MatchString(version) {
		return version
	}
	return ""
}

// tidy has Go note what the module needs. Without Go it says what is left to do.
func tidy(ctx context.Context, out io.Writer, dir string) error {
	next := fmt.Sprintf("Next: cd %s && make test && make run\n", dir)
	if _, err := exec.LookPath("go"); err != nil {
		_, err := fmt.Fprintf(out, "%s is written. There is no Go here to get what it needs: run go mod tidy in it.\n", dir)
		return err
	}
	fmt.Fprintf(out, "%s is written; getting what it needs ...\n", dir)
	cmd := exec.CommandContext(ctx, "go", "mod", "tidy")
	cmd.Dir = dir
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go mod tidy in %s: %w\n%s", dir, err, text)
	}
	_, err := io.WriteString(out, next)
	return err
}

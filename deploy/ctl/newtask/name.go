package newtask

import (
	"go/token"
	"regexp"
	"slices"
	"strings"

	"github.com/paidui/paidui/deploy/ctl/remote"
)

// taskName is a task's name, and what of Go is made of it.
type taskName struct {
	Name  string // reports.daily
	Room  string // reports
	Ident string // Daily
	rest  []string
}

var validName = regexp.MustCompile(`^[a-z][a-z0-9]*(?:\.[a-z][a-z0-9]*(?:[_-][a-z0-9]+)*)+$`)

// notRooms are names of folders that mean something else to Go, or in tasks.
var notRooms = []string{"main", "internal", "vendor", "testdata", "catalog"}

const maxName = 64 // as the framework has it

func parseName(name string) (taskName, error) {
	if !validName.MatchString(name) || len(name) > maxName {
		return taskName{}, remote.UsageErrorf("%q is no name for a new task: it takes a room, a dot, and a name of a-z 0-9 _ -, as reports.daily, in at most %d characters", name, maxName)
	}
	room, rest, _ := strings.Cut(name, ".")
	if token.IsKeyword(room) || slices.Contains(notRooms, room) || strings.HasSuffix(room, "test") {
		return taskName{}, remote.UsageErrorf("%q: a package called %s can't hold tasks; choose another room", name, room)
	}
	t := taskName{Name: name, Room: room, rest: strings.FieldsFunc(rest, func(r rune) bool { return strings.ContainsRune("._-", r) })}
	for _, part := range t.rest {
		t.Ident += title(part)
	}
	return t, nil
}

func title(part string) string { return strings.ToUpper(part[:1]) + part[1:] }

// flatIdent is the identifier beside others of the program.
func (t taskName) flatIdent() string { return title(t.Room) + t.Ident }

func (t taskName) roomFile() string { return fileOf(t.rest) }

func (t taskName) flatFile() string { return fileOf(append([]string{t.Room}, t.rest...)) }

// constraints are last parts of files' names by which Go builds a file for some systems only, or for tests.
var constraints = strings.Fields("test aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris wasip1 windows zos " +
	"386 amd64 amd64p32 arm armbe arm64 arm64be loong64 mips mipsle mips64 mips64le mips64p32 mips64p32le ppc ppc64 ppc64le riscv riscv64 s390 s390x sparc sparc64 wasm")

func fileOf(parts []string) string {
	name := strings.Join(parts, "_")
	if slices.Contains(constraints, parts[len(parts)-1]) {
		name += "_task"
	}
	return name
}

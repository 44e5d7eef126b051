package testenv

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// mariaDB is the one server of this test process. It is global because the tests of a package share it and only
// Main, which has no test at hand, can stop it.
var mariaDB struct {
	sync.Mutex
	server    *MariaDB
	err       error // why it did not start; later tests fail fast with it
	databases int
}

// MariaDB is a private mariadbd, or the mysqld that stands in for it, that syncs to disk at every commit.
type MariaDB struct {
	process *Process
	folder  *dataFolder
	admin   *sql.DB
	port    int
	path    string   // of the program
	extra   []string // arguments
}

// MySQL returns the URL of a fresh, empty utf8mb4 database, mysql://root@127.0.0.1:PORT/NAME. The mariadbd
// behind it starts with the first call in this test process, syncs to disk at every commit, and is stopped by Main.
func MySQL(t testing.TB) string {
	t.Helper()
	mariaDB.Lock()
	defer mariaDB.Unlock()
	if mariaDB.server == nil && mariaDB.err == nil {
		mariaDB.server, mariaDB.err = StartMariaDB()
	}
	if mariaDB.err != nil {
		t.Fatal(mariaDB.err)
	}
	mariaDB.databases++
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	url, err := mariaDB.server.Database(ctx, "test_"+strconv.Itoa(mariaDB.databases))
	if err != nil {
		t.Fatal(err)
	}
	return url
}

func stopMariaDB() {
	mariaDB.Lock()
	defer mariaDB.Unlock()
	if mariaDB.server != nil {
		mariaDB.server.Stop()
		mariaDB.server = nil
	}
}

// StartMariaDB starts a server outside tests; args override its defaults, which are small. Stop ends it.
func StartMariaDB(args ...string) (*MariaDB, error) {
	path, err := databaseServer()
	if err != nil {
		return nil, err
	}
	data, err := newDataFolder(path)
	if err != nil {
		return nil, err
	}
	const tries = 5 // another process may take a free port before the server does
	for range tries {
		var s *MariaDB
		if s, err = runMariaDB(path, data, args); err == nil {
			return s, nil
		}
	}
	data.distrust()
	return nil, err
}

func runMariaDB(path string, data *dataFolder, extra []string) (*MariaDB, error) {
	port, err := FindPort()
	if err != nil {
		return nil, err
	}
	config := mysql.NewConfig()
	config.User, config.Net, config.Addr = "root", "tcp", "127.0.0.1:"+strconv.Itoa(port)
	config.Logger = &mysql.NopLogger{} // refused connections are expected until the server is up
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	s := &MariaDB{folder: data, admin: sql.OpenDB(connector), port: port, path: path, extra: extra}
	if err := s.start(); err != nil {
		s.admin.Close()
		return nil, err
	}
	return s, nil
}

func (s *MariaDB) start() error {
	args := append(serverArgs(s.folder.path),
		"--bind-address=127.0.0.1",
		"--port="+strconv.Itoa(s.port),
		"--socket=sock", // relative to the data folder, so that a long TMPDIR cannot exceed the limit of a socket's path
		"--pid-file=pid",
		"--skip-name-resolve",
		"--max-connections=500",
		"--innodb-buffer-pool-size=64M",
		"--loose-key-buffer-size=1M",
		"--loose-aria-pagecache-buffer-size=1M",
		"--loose-mysqlx=OFF",
		"--performance-schema=OFF",
		"--character-set-server=utf8mb4",
	)
	p, err := StartProcess(exec.Command(s.path, append(args, s.extra...)...), filepath.Join(s.folder.path, "server.log"))
	if err != nil {
		return err
	}
	if err := p.Await(time.Minute, s.answers); err != nil {
		p.Stop(syscall.SIGKILL, time.Second)
		return err
	}
	s.process = p
	return nil
}

// Addr is the server's host:port, the same after a restart.
func (s *MariaDB) Addr() string { return "127.0.0.1:" + strconv.Itoa(s.port) }

// Halt ends the server with the signal: SIGTERM for an orderly end, SIGKILL for a crash. Clients then find the address
// closed until StartAgain.
func (s *MariaDB) Halt(signal syscall.Signal) { s.process.Stop(signal, time.Minute) }

// StartAgain runs a server that was halted on the same address and data.
func (s *MariaDB) StartAgain() error {
	select {
	case <-s.process.done:
		return s.start()
	default:
		return nil
	}
}

// Freeze stops the server as it is, with its connections open, until Thaw. Stop and Halt end a frozen one, too, by SIGKILL.
func (s *MariaDB) Freeze() { s.process.Signal(syscall.SIGSTOP) }

// Thaw has a frozen server go on.
func (s *MariaDB) Thaw() { s.process.Signal(syscall.SIGCONT) }

// answers checks that the server behind the port is this one, and not one that won the port.
func (s *MariaDB) answers() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var dir string
	if err := s.admin.QueryRowContext(ctx, "SELECT @@datadir").Scan(&dir); err != nil {
		return err
	}
	theirs, err := os.Stat(dir)
	if err != nil {
		return err
	}
	ours, err := os.Stat(s.folder.path)
	if err != nil {
		return err
	}
	if !os.SameFile(ours, theirs) {
		return errors.New("the port is served by another mariadbd")
	}
	return nil
}

// Database makes an empty utf8mb4 database and returns its URL.
func (s *MariaDB) Database(ctx context.Context, name string) (url string, err error) {
	if _, err := s.admin.ExecContext(ctx, "CREATE DATABASE "+name+" CHARACTER SET utf8mb4"); err != nil {
		return "", fmt.Errorf("creating the database %s: %w", name, err)
	}
	return fmt.Sprintf("mysql://root@127.0.0.1:%d/%s", s.port, name), nil
}

// Numbers is a table in SQL with the numbers from first to last, at least one, in its column seq.
func Numbers(first, last int) string {
	return fmt.Sprintf("(SELECT nth + %d AS seq FROM JSON_TABLE('[0%s]', '$[*]' COLUMNS (nth FOR ORDINALITY)) AS list) AS numbers",
		first-1, strings.Repeat(",0", last-first))
}

// Stop kills the server: nobody needs its data again.
func (s *MariaDB) Stop() {
	s.admin.Close()
	s.process.Stop(syscall.SIGKILL, 10*time.Second)
	s.folder.remove()
}

// serverArgs are what the server and the making of its data folder must agree on.
func serverArgs(dataDir string) []string {
	args := []string{
		"--no-defaults", // must come first
		"--datadir=" + dataDir,
		// Of its own: a server that starts removes all temporary tables it finds, those of its neighbors too.
		"--tmpdir=" + filepath.Join(dataDir, tempFolder),
		// Options with "loose" are not of all versions.
		"--loose-innodb-log-file-size=16M",
		"--loose-innodb-redo-log-capacity=32M",
		"--skip-log-bin",
	}
	if os.Geteuid() == 0 {
		args = append(args, "--user=root")
	}
	return args
}

package testenv

import (
	"bufio"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// victim makes this test binary start both servers, name them on standard output and wait to be killed.
const victim = "PAIDUI_TESTENV_VICTIM"

func TestMain(m *testing.M) { Main(m) }

func connect(t *testing.T, rawURL string) *redis.Client {
	t.Helper()
	opt, err := redis.ParseURL(rawURL)
	require.NoError(t, err)
	opt.MaxRetries, opt.DialerRetries = -1, 1
	client := redis.NewClient(opt)
	t.Cleanup(func() { client.Close() })
	return client
}

func TestRedisIsPrivateAndEmpty(t *testing.T) {
	t.Parallel()
	one, two := connect(t, RedisURL(t)), connect(t, Redis(t).URL(3))
	require.NoError(t, one.Set(t.Context(), "k", "v", 0).Err())
	require.NoError(t, two.Set(t.Context(), "other", "v", 0).Err())
	require.Equal(t, int64(1), one.DBSize(t.Context()).Val())
	require.ErrorIs(t, two.Get(t.Context(), "k").Err(), redis.Nil)
	require.Equal(t, 3, two.Options().DB)
}

func TestRedisPassword(t *testing.T) {
	t.Parallel()
	server := Redis(t, WithPassword("p@ss:/word"))
	require.NoError(t, connect(t, server.URL(0)).Ping(t.Context()).Err())
	require.ErrorContains(t, connect(t, "redis://"+server.Addr+"/0").Ping(t.Context()).Err(), "NOAUTH")
}

func TestRedisRestart(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		args []string
		end  func(*RedisServer)
		kept int64
	}{
		{"stop keeps nothing by default", nil, (*RedisServer).Stop, 0},
		{"stop with an append-only file", []string{"--appendonly", "yes"}, (*RedisServer).Stop, 1},
		{"kill with an append-only file", []string{"--appendonly", "yes", "--appendfsync", "always"}, (*RedisServer).Kill, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			server := Redis(t, WithArgs(tc.args...))
			client := connect(t, server.URL(0))
			require.NoError(t, client.Set(t.Context(), "k", "v", 0).Err())

			tc.end(server)
			require.Error(t, client.Ping(t.Context()).Err())
			server.Start()
			server.Start()
			Eventually(t, func() bool { return client.Ping(t.Context()).Err() == nil }) // a new connection is made, or is on its way
			kept, err := client.Exists(t.Context(), "k").Result()
			require.NoError(t, err)
			require.Equal(t, tc.kept, kept)
		})
	}
}

func openMySQL(t *testing.T, rawURL string) *sql.DB {
	t.Helper()
	host, name, ok := strings.Cut(strings.TrimPrefix(rawURL, "mysql://root@"), "/")
	require.True(t, ok, rawURL)
	config := mysql.NewConfig()
	config.User, config.Net, config.Addr, config.DBName = "root", "tcp", host, name
	connector, err := mysql.NewConnector(config)
	require.NoError(t, err)
	db := sql.OpenDB(connector)
	t.Cleanup(func() { db.Close() })
	return db
}

func TestMySQLGivesEachTestADatabase(t *testing.T) {
	t.Parallel()
	one, two := openMySQL(t, MySQL(t)), openMySQL(t, MySQL(t))
	_, err := one.ExecContext(t.Context(), "CREATE TABLE words (word varchar(8))")
	require.NoError(t, err)
	_, err = one.ExecContext(t.Context(), "INSERT INTO words VALUES ('排队🐫')")
	require.NoError(t, err)

	var word string
	require.NoError(t, one.QueryRowContext(t.Context(), "SELECT word FROM words").Scan(&word))
	require.Equal(t, "排队🐫", word)
	require.ErrorContains(t, two.QueryRowContext(t.Context(), "SELECT word FROM words").Scan(&word), "doesn't exist")

	var flush int
	require.NoError(t, one.QueryRowContext(t.Context(), "SELECT @@innodb_flush_log_at_trx_commit").Scan(&flush))
	require.Equal(t, 1, flush)

	var data, temporary string
	require.NoError(t, one.QueryRowContext(t.Context(), "SELECT @@datadir, @@tmpdir").Scan(&data, &temporary))
	require.Equal(t, filepath.Clean(data), filepath.Dir(temporary), "no other server clears it")
}

// TestServersDieWithTheTest kills a test process as the kernel would; its servers must not outlive it, and the
// next process must sweep up the data folder.
func TestServersDieWithTheTest(t *testing.T) {
	if os.Getenv(victim) != "" {
		server := Redis(t)
		address := strings.TrimPrefix(MySQL(t), "mysql://root@")
		host, _, _ := strings.Cut(address, "/")
		fmt.Printf("servers %s %s %s %s\n", server.Addr, host, filepath.Dir(server.dir), mariaDB.server.folder.path)
		select {}
	}
	if _, err := os.Stat("/proc/self"); err != nil {
		t.Skip("only Linux binds a child's life to its parent's")
	}
	t.Parallel()
	cmd := exec.Command(os.Args[0], "-test.run=^TestServersDieWithTheTest$")
	cmd.Env = append(os.Environ(), victim+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())

	var redisAddr, mysqlAddr, temporary, folder string
	lines := bufio.NewScanner(out)
	for folder == "" && lines.Scan() {
		_, _ = fmt.Sscanf(lines.Text(), "servers %s %s %s %s", &redisAddr, &mysqlAddr, &temporary, &folder)
	}
	require.NotEmpty(t, folder, "the child did not start its servers")
	defer os.RemoveAll(temporary) // a killed test cannot do it
	require.True(t, listens(redisAddr))
	require.True(t, listens(mysqlAddr))
	require.NoError(t, cmd.Process.Signal(syscall.SIGKILL))
	require.Error(t, cmd.Wait())
	require.Eventually(t, func() bool { return !listens(redisAddr) && !listens(mysqlAddr) },
		20*time.Second, 20*time.Millisecond)

	lock, err := openLocked(filepath.Join(t.TempDir(), "lock"), os.O_CREATE|os.O_RDWR, syscall.LOCK_EX)
	require.NoError(t, err)
	defer lock.Close()
	sweep()
	require.NoDirExists(t, folder)
}

func listens(addr string) bool {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err == nil {
		conn.Close()
	}
	return err == nil
}

func TestAwaitSaysWhyAServerDidNotStart(t *testing.T) {
	t.Parallel()
	p, err := StartProcess(exec.Command("sh", "-c", "echo no disk; exit 3"), filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	err = p.Await(10*time.Second, func() error { return os.ErrNotExist })
	require.ErrorContains(t, err, "exit status 3")
	require.ErrorContains(t, err, "no disk")

	_, err = StartProcess(exec.Command("/no/such/program"), filepath.Join(t.TempDir(), "log"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = lookPath("no-such-program", "some-package")
	require.ErrorContains(t, err, "some-package")
}

func TestAReplicaOfAClusterTakesOver(t *testing.T) {
	t.Parallel()
	nodes := RedisNodes(t, 3, true)
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{nodes.Servers[5].Addr}})
	defer func() { require.NoError(t, rdb.Close()) }()
	for i := range 100 {
		require.NoError(t, rdb.Set(t.Context(), fmt.Sprint(i), i, 0).Err())
	}
	for _, primary := range nodes.Servers[:3] {
		require.Positive(t, connect(t, primary.URL(0)).DBSize(t.Context()).Val())
	}
	victim := nodes.Servers[0]
	old, replica := connect(t, victim.URL(0)), connect(t, nodes.Servers[3].URL(0))
	victim.Freeze()
	require.Eventually(t, func() bool {
		return strings.Contains(replica.Info(t.Context(), "replication").Val(), "role:master")
	}, time.Minute, 50*time.Millisecond)
	victim.Thaw()
	require.Eventually(t, func() bool {
		return strings.Contains(old.Info(t.Context(), "replication").Val(), "role:slave")
	}, time.Minute, 50*time.Millisecond)
}

func TestMariaDBRestart(t *testing.T) {
	t.Parallel()
	server, err := StartMariaDB()
	require.NoError(t, err)
	defer server.Stop()
	rawURL, err := server.Database(t.Context(), "kept")
	require.NoError(t, err)
	require.Contains(t, rawURL, server.Addr())
	db := openMySQL(t, rawURL)
	_, err = db.ExecContext(t.Context(), "CREATE TABLE words (word varchar(8))")
	require.NoError(t, err)
	for i, end := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		_, err = db.ExecContext(t.Context(), "INSERT INTO words VALUES ('kept')")
		require.NoError(t, err)
		server.Halt(end)
		require.Error(t, db.PingContext(t.Context()))
		require.NoError(t, server.StartAgain())
		require.NoError(t, server.StartAgain(), "it runs")
		var n int
		require.NoError(t, db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM words").Scan(&n))
		require.Equal(t, i+1, n)
	}
}

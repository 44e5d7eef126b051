package history

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
)

// BenchmarkRecord is what records cost, in processor time, the server (db-µs/op) and this process (own-µs/op): as rows of
// tasks that wait, as these rows when the tasks have ended, and as rows of tasks that have ended.
func BenchmarkRecord(b *testing.B) {
	for _, c := range []struct {
		name          string
		before, after func(id string, at time.Time) tasks.Record
	}{
		{"waits", nil, waitsFrom},
		{"ends-after", waitsFrom, endedFrom},
		{"ended", nil, endedFrom},
	} {
		b.Run(c.name, func(b *testing.B) {
			db := migrated(b, testenv.MySQL(b))
			ids, at := make([]string, b.N), make([]time.Time, b.N)
			for i := range ids {
				at[i] = epoch.Add(time.Duration(i/20) * time.Millisecond)
				ids[i] = newID("default", at[i])
			}
			write := func(record func(string, time.Time) tasks.Record) {
				w, err := NewWriter(db, Options{Logger: testenv.Quiet()})
				require.NoError(b, err)
				for i, id := range ids {
					w.Record(record(id, at[i]))
				}
				require.NoError(b, w.Close(b.Context()))
			}
			if c.before != nil {
				write(c.before)
			}
			db0, own0 := serverTime(b, db), ownTime(b)
			b.ResetTimer()
			write(c.after)
			b.StopTimer()
			b.ReportMetric(float64((serverTime(b, db)-db0).Microseconds())/float64(b.N), "db-µs/op")
			b.ReportMetric(float64((ownTime(b)-own0).Microseconds())/float64(b.N), "own-µs/op")
		})
	}
}

func waitsFrom(id string, at time.Time) tasks.Record {
	r := enqueued(id, 0)
	r.EnqueuedAt = at
	return r
}

func endedFrom(id string, at time.Time) tasks.Record { return ended(waitsFrom(id, at)) }

// serverTime is the processor time that the server has taken.
func serverTime(b *testing.B, db *gorm.DB) time.Duration {
	b.Helper()
	var folder string
	require.NoError(b, db.Raw("SELECT @@datadir").Scan(&folder).Error)
	pid, err := os.ReadFile(filepath.Join(folder, "pid"))
	require.NoError(b, err)
	stat, err := os.ReadFile(filepath.Join("/proc", strings.TrimSpace(string(pid)), "stat"))
	if err != nil {
		b.Skip("tells processor times on Linux only")
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+2:])) // from the third on
	const tick = 10 * time.Millisecond
	var ticks int
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(field)
		require.NoError(b, err)
		ticks += n
	}
	return time.Duration(ticks) * tick
}

// ownTime is the processor time that this process has taken.
func ownTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

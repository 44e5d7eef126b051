package history

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
)

// BenchmarkRecord is what a record costs this process from Record to the database, which costs itself more.
func BenchmarkRecord(b *testing.B) {
	for name, record := range map[string]func(string, int) tasks.Record{"enqueued": enqueued, "ended": succeeded} {
		b.Run(name, func(b *testing.B) {
			db := migrated(b, testenv.MySQL(b))
			w, err := NewWriter(db, Options{Logger: slog.New(slog.DiscardHandler)})
			require.NoError(b, err)
			ids := make([]string, b.N)
			for i := range ids {
				ids[i] = tasks.NewID("default")
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i, id := range ids {
				w.Record(record(id, i/20))
			}
			require.NoError(b, w.Close(b.Context()))
		})
	}
}

package counter

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

// BenchmarkExact compares the counts in Redis with counting in the database: of somebody whom 20 follow, of somebody whom
// 100,000 follow, and of the 100 first of a ranking, among 300,000 followings; and what one change costs.
func BenchmarkExact(b *testing.B) {
	s := openReal(b)
	ctx := b.Context()
	const star, ordinary, others = 1, 2, 10_000
	require.NoError(b, s.db.Exec("INSERT INTO users (id, mobile, name, photo, intro, certi, created_at, updated_at)"+
		" SELECT seq, CONCAT('m', seq), 'user', '', '', '', NOW(6), NOW(6) FROM "+testenv.Numbers(1, others)).Error)
	require.NoError(b, s.db.Exec("INSERT INTO followings (user_id, target_id, created_at)"+
		" SELECT 20000 + seq, IF(seq <= 100000, ?, 2 + seq MOD ?), NOW(6) FROM "+testenv.Numbers(1, 300_000), star, others-1).Error)
	require.NoError(b, s.db.Exec("ANALYZE TABLE users, followings").Error)
	_, err := s.counters.Reconcile(ctx)
	require.NoError(b, err)
	for name, user := range map[string]int64{"few": ordinary, "many": star} {
		b.Run("count-of-"+name+"/redis", func(b *testing.B) {
			for b.Loop() {
				if n, ok := s.counters.score(ctx, Followers, user, s.store.Read); !ok || n < 20 {
					b.Fatal(n, ok)
				}
			}
		})
		b.Run("count-of-"+name+"/database", func(b *testing.B) {
			for b.Loop() {
				if n, err := s.counters.db.one(ctx, Followers, user); err != nil || n < 20 {
					b.Fatal(n, err)
				}
			}
		})
	}
	b.Run("ranking/redis", func(b *testing.B) {
		for b.Loop() {
			if places, err := s.counters.ranked(ctx, Followers, 0, 100); err != nil || len(places) != 100 {
				b.Fatal(len(places), err)
			}
		}
	})
	b.Run("ranking/database", func(b *testing.B) {
		for b.Loop() {
			if places, err := s.counters.db.top(ctx, Followers, 100); err != nil || len(places) != 100 {
				b.Fatal(len(places), err)
			}
		}
	})
	b.Run("change", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			change := Change(Followers, ordinary, 1)
			if err := s.counters.Apply(ctx, fmt.Sprintf("bench-%d", i), []string{change.ID}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

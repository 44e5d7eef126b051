package broker_test

import (
	"context"
	"encoding/base64"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/models/redisx/embedded"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
)

// bury makes dead letters of tasks that wait, as of the Unix second.
func bury(t testing.TB, rdb redis.UniversalClient, second int64, ids ...string) {
	t.Helper()
	for _, id := range ids {
		become(t, rdb, id, "archived")
		require.NoError(t, rdb.ZAdd(t.Context(), brokertest.Key("q", "archived"), redis.Z{Member: id, Score: float64(second)}).Err())
	}
}

func embeddedURL(t testing.TB) string {
	t.Helper()
	e, err := embedded.Start(context.WithoutCancel(t.Context()))
	require.NoError(t, err)
	t.Cleanup(e.Close)
	return e.URL(0)
}

func TestDeadPages(t *testing.T) { brokertest.OnSingle(t, deadPages) }

func deadPages(t *testing.T, url string) {
	b := brokertest.Open(t, url)
	const n = 330 // of which 200 died in one second
	brokertest.Enqueue(t, b, brokertest.Numbered("q", n)...)
	now := time.Now().Unix()
	want := make([]string, n)
	for i := range want {
		id, second := strconv.Itoa(i), now-int64(i)
		if i >= 50 && i < 250 {
			second = now - 50
		}
		bury(t, b.Redis(), second, id)
		want[i] = id
	}
	slices.SortFunc(want[50:250], func(a, b string) int { return -slices.Compare([]byte(a), []byte(b)) })
	for _, limit := range []int{1, 7, 100, 329, 330, 400} {
		var got []string
		cursor := ""
		for {
			page, next, err := b.Dead(t.Context(), "q", cursor, limit)
			require.NoError(t, err)
			require.LessOrEqual(t, len(page), limit)
			for _, one := range page {
				got = append(got, one.ID)
			}
			if cursor = next; cursor == "" {
				break
			}
			require.Len(t, page, limit)
		}
		require.Equal(t, want, got, "limit %d", limit)
	}
}

func TestDeadPagesDoNotShift(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		brokertest.Enqueue(t, b, brokertest.Numbered("q", 8)...)
		bury(t, b.Redis(), 1000, "0", "1", "2", "3", "4", "5")
		page, next, err := b.Dead(t.Context(), "q", "", 3)
		require.NoError(t, err)
		require.Equal(t, []string{"5", "4", "3"}, []string{page[0].ID, page[1].ID, page[2].ID})
		require.Equal(t, "archived", page[0].State)
		bury(t, b.Redis(), 2000, "6", "7")
		for _, id := range []string{"3", "5"} { // the last of the page, and one before
			_, err = b.Rerun(t.Context(), "q", id, brokertest.NextRun)
			require.NoError(t, err)
		}
		page, next, err = b.Dead(t.Context(), "q", next, 3)
		require.NoError(t, err)
		require.Equal(t, []string{"2", "1", "0"}, []string{page[0].ID, page[1].ID, page[2].ID})
		require.Empty(t, next)
		page, next, err = b.Dead(t.Context(), "empty", "", 3)
		require.NoError(t, err)
		require.Empty(t, page)
		require.Empty(t, next)
	})
}

func TestDeadRefusesMadeUpCursors(t *testing.T) {
	b := brokertest.Open(t, embeddedURL(t))
	code := base64.RawURLEncoding.EncodeToString
	for _, cursor := range []string{
		"x", "!", "MTAw", code([]byte("1000")), code([]byte("1000 ")), code([]byte(" a")), code([]byte("+inf a")), code([]byte("nan a")),
		code([]byte("-1 a")), code([]byte("01 a")), code([]byte("(5 a")), code([]byte("1e3 a")), code([]byte("99999999999999999999 a")),
	} {
		_, _, err := b.Dead(t.Context(), "q", cursor, 1)
		require.ErrorIs(t, err, broker.ErrCursor, cursor)
	}
}

func FuzzDeadCursor(f *testing.F) {
	f.Add("MTAwMCBh")
	f.Fuzz(func(t *testing.T, cursor string) {
		if again, err := broker.RoundTrip(cursor); err == nil {
			require.Equal(t, cursor, again, "a cursor has one form")
		}
	})
}

func TestHasQueue(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		brokertest.Enqueue(t, b, brokertest.Message("q", "1"))
		for queue, want := range map[string]bool{"q": true, "r": false} {
			got, err := b.HasQueue(t.Context(), queue)
			require.NoError(t, err)
			require.Equal(t, want, got, queue)
		}
	})
}

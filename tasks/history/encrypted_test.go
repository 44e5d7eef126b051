package history

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
)

// TestEncryptedRecordsAreSettledAndShown: what a worker could not tell comes from Redis as it is stored there, and is
// shown to those who have the key.
func TestEncryptedRecordsAreSettledAndShown(t *testing.T) {
	t.Parallel()
	const number = "13800138000"
	type args struct {
		To string `json:"to"`
	}
	secret := tasks.Define[args, string]("test.secret", tasks.Encrypted(), tasks.MaxRetries(0))
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		url := testenv.RedisURL(t)
		b := taskstest.Broker(t, url)
		keys := taskstest.Keys(t, taskstest.Key("k1"))
		w := writer(t, db, Options{})
		client := tasks.NewClient(b, tasks.ClientOptions{Keys: keys, History: w})
		m := tasks.NewMux(tasks.MuxOptions{Logger: testenv.Quiet(), Keys: keys}) // which tells the history nothing
		tasks.Handle(m, secret, func(_ context.Context, a args) (string, error) {
			if a.To == number {
				return "sent to " + a.To, nil
			}
			return "", errors.New("no answer from " + a.To)
		})
		for id, call := range map[string][]tasks.Option{
			"good": nil, "bad": nil, "meta": {tasks.History(tasks.HistoryMeta)},
		} {
			to := number
			if id != "good" {
				to += "1"
			}
			_, err := secret.Enqueue(t.Context(), client, args{to}, append(call, tasks.ID(id))...)
			require.NoError(t, err)
		}
		calls := make([]tasks.Signature, 64)
		for i := range calls {
			calls[i] = secret.Signature(args{number}, tasks.Queue("waiting"))
		}
		made := tasks.EnqueueMany(t.Context(), client, calls)
		taskstest.Serve(t, b, m, "default")
		for _, id := range []string{"good", "bad", "meta"} {
			_, err := client.Wait(t.Context(), id)
			require.NoError(t, err)
		}
		require.NoError(t, w.Close(t.Context()))

		s, err := NewStore(db, client)
		require.NoError(t, err)
		s.now = func() time.Time { return time.Now().Add(time.Hour) } // records are old, and compared with Redis
		settler, err := NewSettler(s, SettlerOptions{Logger: testenv.Quiet()})
		require.NoError(t, err)
		_, err = settler.round(t.Context())
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(stored(t, db)["good"].Result, `{"paidui_encrypted":"k1"`), "it was written back")

		good, err := s.Find(t.Context(), "good")
		require.NoError(t, err)
		require.Equal(t, tasks.StateSuccess, good.State)
		require.JSONEq(t, `{"to":"`+number+`"}`, string(good.Args))
		require.JSONEq(t, `"sent to `+number+`"`, string(good.Result))
		bad, err := s.Find(t.Context(), "bad")
		require.NoError(t, err)
		require.Equal(t, "no answer from "+number+"1", bad.Error)
		meta, err := s.Find(t.Context(), "meta")
		require.NoError(t, err)
		require.Equal(t, "no answer from ***", meta.Error)
		require.Nil(t, meta.Args)
		waits, err := s.Find(t.Context(), made[0].ID)
		require.NoError(t, err)
		require.JSONEq(t, `{"to":"`+number+`"}`, string(waits.Args))
		page, err := s.Search(t.Context(), Query{Task: "test.secret", State: tasks.StateSuccess})
		require.NoError(t, err)
		require.Len(t, page.Tasks, 1)
		require.JSONEq(t, `"sent to `+number+`"`, string(page.Tasks[0].Result))

		for _, r := range stored(t, db) {
			require.NotContains(t, r.Args+r.Result+r.Error, number)
		}
		require.Contains(t, stored(t, db)[made[0].ID].Args, `{"paidui_encrypted":"k1"`)

		blind, err := NewStore(db, tasks.NewClient(b))
		require.NoError(t, err)
		for _, id := range []string{"good", "bad", "meta", made[0].ID} {
			info, err := blind.Find(t.Context(), id)
			require.NoError(t, err)
			require.Contains(t, info.Withheld, `"k1"`, id)
			require.Nil(t, info.Args)
			require.Nil(t, info.Result)
			require.NotContains(t, info.Error, number)
		}
	})
}

package broker_test

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
)

func TestGateReplies(t *testing.T) { brokertest.OnSingle(t, gateReplies) }

func gateReplies(t *testing.T, url string) {
	b := brokertest.Open(t, url)
	for i, c := range []struct {
		source string
		opens  bool
		reply  any
	}{
		{"return true", true, nil},
		{"return true, nil", true, nil},
		{"return true, false", true, nil},
		{"return true, true", true, int64(1)},
		{"return true, 7", true, int64(7)},
		{"return true, 'yes'", true, "yes"},
		{"return true, {1, 'two', {3}}", true, []any{int64(1), "two", []any{int64(3)}}},
		{"return 0, 'zero is true in Lua'", true, "zero is true in Lua"},
		{"", false, nil},
		{"return", false, nil},
		{"return false", false, nil},
		{"return nil, 3", false, int64(3)},
		{"return false, 'sold out'", false, "sold out"},
		{"return false, {'a', 2}", false, []any{"a", int64(2)}},
		{"return #KEYS == 0 and #ARGV == 0, {#KEYS, #ARGV}", true, []any{int64(0), int64(0)}},
	} {
		script := brokertest.Gate(c.source)
		for _, m := range []*broker.Message{brokertest.Message("q", strconv.Itoa(i)), brokertest.Message("q", "u"+strconv.Itoa(i))} {
			if m.ID[0] == 'u' {
				m.UniqueFor = time.Hour
			}
			want := broker.Receipt{Outcome: broker.Refused, Reply: c.reply}
			if c.opens {
				want.Outcome = broker.Made
			}
			require.Equal(t, want, b.EnqueueIf(t.Context(), broker.Gate{Script: script}, m), c.source)
			stored, err := b.Redis().Exists(t.Context(), brokertest.Key("q", "t:"+m.ID)).Result()
			require.NoError(t, err)
			require.Equal(t, c.opens, stored == 1, c.source)
		}
	}
	for _, source := range []string{"error('broken')", "return this is no Lua", "return redis.call('NOSUCHCOMMAND')"} {
		r := b.EnqueueIf(t.Context(), broker.Gate{Script: brokertest.Gate(source)}, brokertest.Message("q", "broken"))
		require.Error(t, r.Err, source)
		require.Equal(t, broker.Unknown, r.Outcome, source)
	}
	require.NotContains(t, brokertest.PendingIDs(t, b.Redis(), "q"), "broken")
}

// stock is a gate with keys and arguments: it takes pieces while there are enough.
const stock = `
local left = tonumber(redis.call('GET', KEYS[1]) or 0)
if left < tonumber(ARGV[1]) then return false, left end
redis.call('RPUSH', KEYS[2], ARGV[2])
return true, redis.call('DECRBY', KEYS[1], ARGV[1])
`

func TestGateWithKeys(t *testing.T) { brokertest.OnSingle(t, gateWithKeys) }

func gateWithKeys(t *testing.T, url string) {
	b := brokertest.Open(t, url)
	// In a cluster their slot is not the queue's.
	left, buyers := "paidui:{goods-1}:left", "paidui:{goods-1}:buyers"
	const pieces, callers = 50, 200
	require.NoError(t, b.Redis().Set(t.Context(), left, pieces, 0).Err())
	script := brokertest.Gate(stock)
	var made, refused atomic.Int32
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			m := brokertest.Message("q", strconv.Itoa(i))
			if i%2 == 0 {
				m.UniqueFor = time.Hour
			}
			r := b.EnqueueIf(t.Context(), broker.Gate{Script: script, Keys: []string{left, buyers}, Args: []any{1, m.ID}}, m)
			assert.NoError(t, r.Err)
			switch r.Outcome {
			case broker.Made:
				made.Add(1)
				assert.Less(t, r.Reply, int64(pieces))
			case broker.Refused:
				refused.Add(1)
				assert.Equal(t, int64(0), r.Reply)
			default:
				t.Errorf("outcome %d", r.Outcome)
			}
		})
		if i%10 == 0 { // plain ones travel in the same batches
			all.Go(func() {
				assert.Equal(t, broker.Made, b.Enqueue(t.Context(), brokertest.Message("q", "plain"+strconv.Itoa(i)))[0].Outcome)
			})
		}
	}
	all.Wait()
	require.EqualValues(t, pieces, made.Load())
	require.EqualValues(t, callers-pieces, refused.Load())
	names, err := b.Redis().LRange(t.Context(), buyers, 0, -1).Result()
	require.NoError(t, err)
	require.Len(t, names, pieces)
	ids := brokertest.PendingIDs(t, b.Redis(), "q")
	require.Len(t, ids, pieces+callers/10)
	require.Subset(t, ids, names)
}

func TestOpenGateOfATaskThatIsThere(t *testing.T) {
	brokertest.OnSingle(t, func(t *testing.T, url string) {
		b := brokertest.Open(t, url)
		gate := broker.Gate{Script: brokertest.Gate("return true, 'open'")}
		held := brokertest.Message("q", "held")
		held.UniqueFor = time.Hour
		brokertest.Enqueue(t, b, brokertest.Message("q", "taken"), held)
		require.Equal(t, broker.Receipt{Outcome: broker.Taken, Reply: "open"}, b.EnqueueIf(t.Context(), gate, brokertest.Message("q", "taken")))
		again := brokertest.Message("q", "again")
		again.Payload, again.UniqueFor = held.Payload, time.Hour
		require.Equal(t, broker.Receipt{Outcome: broker.Held, Owner: "held", Reply: "open"}, b.EnqueueIf(t.Context(), gate, again))
		later := brokertest.Message("q", "later")
		later.At = time.Now().Add(time.Hour)
		require.Equal(t, broker.Receipt{Outcome: broker.Made, Reply: "open"}, b.EnqueueIf(t.Context(), gate, later))
		require.EqualValues(t, 1, b.Redis().ZCard(t.Context(), brokertest.Key("q", "scheduled")).Val())
	})
}

package sms

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
)

const testMobile = "13812345678"

// onEachRedis runs the test on a real server and on the embedded one, which must run the same scripts.
func onEachRedis(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(t, testenv.RedisURL(t))
	})
	t.Run("miniredis", func(t *testing.T) {
		t.Parallel()
		test(t, "redis://"+miniredis.RunT(t).Addr()+"/0")
	})
}

func testCache(t *testing.T, url string) *redis.Client {
	t.Helper()
	opt, err := redis.ParseURL(url)
	require.NoError(t, err)
	cache := redis.NewClient(opt)
	t.Cleanup(func() { cache.Close() })
	return cache
}

func testCodes(t *testing.T, url string, limits Limits) (*Codes, *redis.Client) {
	t.Helper()
	cache := testCache(t, url)
	return NewCodes(cache, tasks.NewClient(taskstest.Broker(t, url)), limits), cache
}

// nextMinute ends the number's minute, as its expiry does.
func nextMinute(t *testing.T, cache *redis.Client, mobile string) {
	t.Helper()
	require.NoError(t, cache.Del(t.Context(), "paidui:sms:{"+mobile+"}:minute").Err())
}

func requireLimit(t *testing.T, err error, scope string, most time.Duration) {
	t.Helper()
	var refused *LimitError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, scope, refused.Scope)
	require.Positive(t, refused.RetryAfter)
	require.LessOrEqual(t, refused.RetryAfter, most)
	require.Zero(t, refused.RetryAfter%time.Second)
}

func TestRequestKeepsTheCodeAndEnqueues(t *testing.T) {
	t.Parallel()
	onEachRedis(t, func(t *testing.T, url string) {
		codes, cache := testCodes(t, url, Limits{})
		id, err := codes.Request(t.Context(), testMobile, "192.0.2.1")
		require.NoError(t, err)

		code, err := cache.Get(t.Context(), "send_sms_code_"+testMobile).Result()
		require.NoError(t, err)
		require.Regexp(t, `^[0-9]{6}$`, code)
		left, err := cache.PTTL(t.Context(), "send_sms_code_"+testMobile).Result()
		require.NoError(t, err)
		require.InDelta(t, 5*time.Minute, left, float64(30*time.Second))

		info, err := codes.client.Info(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, "sms.send", info.Task)
		require.Equal(t, "sms", info.Queue)
		require.Equal(t, tasks.StatePending, info.State)
		require.Equal(t, 5, info.MaxRetries)
		require.JSONEq(t, `{"mobile":"`+testMobile+`"}`, string(info.Args))
		require.NotNil(t, info.Expires)
		require.WithinDuration(t, time.Now().Add(CodeTTL), *info.Expires, 30*time.Second)
	})
}

func TestRequestRefusesWhatIsNoNumber(t *testing.T) {
	t.Parallel()
	codes, cache := testCodes(t, testenv.RedisURL(t), Limits{})
	for _, mobile := range badMobiles() {
		_, err := codes.Request(t.Context(), mobile, "192.0.2.1")
		require.ErrorIs(t, err, ErrInvalidMobile)
		require.ErrorIs(t, codes.Consume(t.Context(), mobile, "123456", "192.0.2.1"), ErrInvalidMobile)
	}
	size, err := cache.DBSize(t.Context()).Result()
	require.NoError(t, err)
	require.Zero(t, size)
}

func TestOneCodeAMinute(t *testing.T) {
	t.Parallel()
	onEachRedis(t, func(t *testing.T, url string) {
		codes, cache := testCodes(t, url, Limits{})
		_, err := codes.Request(t.Context(), testMobile, "192.0.2.1")
		require.NoError(t, err)
		first, err := cache.Get(t.Context(), codeKey(testMobile)).Result()
		require.NoError(t, err)

		for range 3 {
			_, err = codes.Request(t.Context(), testMobile, "192.0.2.1")
			requireLimit(t, err, ScopeMinute, time.Minute)
		}
		kept, err := cache.Get(t.Context(), codeKey(testMobile)).Result()
		require.NoError(t, err)
		require.Equal(t, first, kept)
		for key, want := range map[string]int64{
			"paidui:sms:{addr:192.0.2.1}:hour":                                           1,
			"paidui:sms:{" + testMobile + "}:day:" + time.Now().UTC().Format("20060102"): 1,
		} {
			used, err := cache.SCard(t.Context(), key).Result()
			require.NoError(t, err)
			require.Equal(t, want, used, key)
		}
		window, err := cache.PTTL(t.Context(), "paidui:sms:{"+testMobile+"}:minute").Result()
		require.NoError(t, err)
		require.Greater(t, window, 30*time.Second)

		_, err = codes.Request(t.Context(), "13912345678", "192.0.2.1")
		require.NoError(t, err, "another number has its own minute")
		nextMinute(t, cache, testMobile)
		_, err = codes.Request(t.Context(), testMobile, "192.0.2.1")
		require.NoError(t, err)
	})
}

func TestTenCodesACalendarDay(t *testing.T) {
	t.Parallel()
	shanghai := time.FixedZone("UTC+8", 8*3600)
	onEachRedis(t, func(t *testing.T, url string) {
		codes, cache := testCodes(t, url, Limits{Location: shanghai})
		now := time.Date(2026, 1, 2, 15, 59, 29, 500_000_000, time.UTC) // 30.5 s before midnight in Shanghai
		codes.now = func() time.Time { return now }
		for i := range 10 {
			_, err := codes.Request(t.Context(), testMobile, fmt.Sprint("192.0.2.", 1+i%2))
			require.NoError(t, err)
			nextMinute(t, cache, testMobile)
		}
		_, err := codes.Request(t.Context(), testMobile, "192.0.2.3")
		requireLimit(t, err, ScopeDay, 31*time.Second)
		used, err := cache.SCard(t.Context(), "paidui:sms:{addr:192.0.2.3}:hour").Result()
		require.NoError(t, err)
		require.Zero(t, used, "a refused request took from the address")
		exists, err := cache.Exists(t.Context(), "paidui:sms:{"+testMobile+"}:minute").Result()
		require.NoError(t, err)
		require.Zero(t, exists, "a refused request took the minute")

		now = now.Add(31 * time.Second)
		_, err = codes.Request(t.Context(), testMobile, "192.0.2.1")
		require.NoError(t, err, "a new day")
	})
}

func TestDayOfADaylightSavingChange(t *testing.T) {
	t.Parallel()
	newYork, err := time.LoadLocation("America/New_York")
	require.NoError(t, err)
	for day, hours := range map[time.Time]float64{
		time.Date(2026, 3, 8, 0, 0, 0, 0, newYork):  23,
		time.Date(2026, 3, 9, 0, 0, 0, 0, newYork):  24,
		time.Date(2026, 11, 1, 0, 0, 0, 0, newYork): 25,
	} {
		g := newGrant(nil, Limits{Location: newYork}, testMobile, clientOf(""), false, day)
		require.InDelta(t, hours, g.groups[1][1].length.Hours(), 0)
	}
}

func TestLimitOfAnAddress(t *testing.T) {
	t.Parallel()
	onEachRedis(t, func(t *testing.T, url string) {
		codes, cache := testCodes(t, url, Limits{PerAddress: 3})
		number := func(i int) string { return fmt.Sprintf("139%08d", i) }
		for i, addr := range []string{"2001:db8::1", "2001:db8::ffff", "2001:db8:0:0:ffff::"} { // one /64
			_, err := codes.Request(t.Context(), number(i), addr)
			require.NoError(t, err)
		}
		_, err := codes.Request(t.Context(), number(9), "2001:db8::2")
		requireLimit(t, err, ScopeAddress, time.Hour)
		keys, err := cache.Keys(t.Context(), "*"+number(9)+"*").Result()
		require.NoError(t, err)
		require.Empty(t, keys, "an address beyond its limit used up a number's allowance")

		for i, addr := range []string{"2001:db8:0:1::1", "192.0.2.1", "", "unix:@"} {
			_, err := codes.Request(t.Context(), number(10+i), addr)
			require.NoError(t, err, addr)
		}
	})
}

func TestClientOf(t *testing.T) {
	for addr, want := range map[string]client{
		"192.0.2.1":            {"192.0.2.1", "192.0.2.1"},
		"::ffff:192.0.2.1":     {"192.0.2.1", "192.0.2.1"},
		"2001:db8:1:2:3:4:5:6": {"2001:db8:1:2::/64", "2001:db8:1::/48"},
		"2001:db8:1:ffff::":    {"2001:db8:1:ffff::/64", "2001:db8:1::/48"},
		"fe80::1%eth0":         {"fe80::/64", "fe80::/48"},
		"":                     {"unknown", "unknown"},
		"@":                    {"unknown", "unknown"},
		"192.0.2.1:80":         {"unknown", "unknown"},
		"}:evil":               {"unknown", "unknown"},
	} {
		require.Equal(t, want, clientOf(addr), addr)
	}
}

func TestLimitOfANetwork(t *testing.T) {
	t.Parallel()
	onEachRedis(t, func(t *testing.T, url string) {
		codes, cache := testCodes(t, url, Limits{PerAddress: 2})
		for i := range 8 {
			_, err := codes.Request(t.Context(), fmt.Sprintf("139%08d", i), fmt.Sprintf("2001:db8:0:%x::1", i))
			require.NoError(t, err)
		}
		_, err := codes.Request(t.Context(), testMobile, "2001:db8:0:ff::1")
		requireLimit(t, err, ScopeAddress, time.Hour)
		require.Zero(t, cache.SCard(t.Context(), "paidui:sms:{addr:2001:db8:0:ff::/64}:hour").Val(), "a refused request took from the /64")
		_, err = codes.Request(t.Context(), testMobile, "2001:db8:1::1")
		require.NoError(t, err, "another /48")

		for i := range 24 {
			require.ErrorIs(t, codes.Consume(t.Context(), fmt.Sprintf("138%08d", i), "999999", fmt.Sprintf("2001:db8:2:%x::1", i)), ErrNoCode)
		}
		requireLimit(t, codes.Consume(t.Context(), testMobile, "999999", "2001:db8:2:ff::1"), ScopeTries, time.Hour)
	})
}

// A stranger asks for ten codes to a number, and then strangers from many places do.
func TestStrangersLeaveANumberItsCodes(t *testing.T) {
	t.Parallel()
	onEachRedis(t, func(t *testing.T, url string) {
		codes, cache := testCodes(t, url, Limits{})
		codes.now = func() time.Time { return time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC) }
		day := "paidui:sms:{" + testMobile + "}:day:20260102"
		ask := func(addr string) error {
			nextMinute(t, cache, testMobile)
			require.NoError(t, cache.Del(t.Context(), "paidui:sms:{"+testMobile+"}:minute:known").Err())
			_, err := codes.Request(t.Context(), testMobile, addr)
			return err
		}
		for range 5 {
			require.NoError(t, ask("198.51.100.1"))
		}
		for range 5 {
			requireLimit(t, ask("198.51.100.1"), ScopeShare, 24*time.Hour)
		}
		require.EqualValues(t, 5, cache.SCard(t.Context(), day).Val())
		require.NoError(t, ask("192.0.2.1"), "the owner, for the first time here")
		code := cache.Get(t.Context(), codeKey(testMobile)).Val()
		require.NoError(t, codes.Consume(t.Context(), testMobile, code, "192.0.2.1"))

		for i := range 4 {
			require.NoError(t, ask(fmt.Sprint("198.51.100.", 10+i)))
		}
		requireLimit(t, ask("198.51.100.99"), ScopeDay, 24*time.Hour)
		for range 10 {
			require.NoError(t, ask("192.0.2.1"), "the owner, from where he logged in")
		}
		requireLimit(t, ask("192.0.2.1"), ScopeDay, 24*time.Hour)

		_, err := codes.Request(t.Context(), "13900000000", "198.51.100.9")
		require.NoError(t, err)
		_, err = codes.Request(t.Context(), "13900000000", "192.0.2.1")
		requireLimit(t, err, ScopeMinute, time.Minute) // known to another number only
	})
}

func TestAStrangerDoesNotTakeAKnownAddressesMinute(t *testing.T) {
	t.Parallel()
	onEachRedis(t, func(t *testing.T, url string) {
		codes, cache := testCodes(t, url, Limits{})
		setCode(t, cache, "012345")
		require.NoError(t, codes.Consume(t.Context(), testMobile, "012345", "2001:db8::1"))
		_, err := codes.Request(t.Context(), testMobile, "198.51.100.1")
		require.NoError(t, err)
		_, err = codes.Request(t.Context(), testMobile, "2001:db8::2")
		require.NoError(t, err)
		_, err = codes.Request(t.Context(), testMobile, "2001:db8::3")
		requireLimit(t, err, ScopeMinute, time.Minute)
	})
}

func TestKnownAddressesAreFewAndForgotten(t *testing.T) {
	t.Parallel()
	onEachRedis(t, func(t *testing.T, url string) {
		codes, cache := testCodes(t, url, Limits{})
		begun := time.Now()
		knows := func(addr string) bool {
			known, err := codes.isKnownAddress(t.Context(), testMobile, clientOf(addr))
			require.NoError(t, err)
			return known
		}
		for i := range 6 {
			codes.now = func() time.Time { return begun.Add(time.Duration(i) * time.Second) }
			require.NoError(t, codes.addKnownAddress(t.Context(), testMobile, clientOf(fmt.Sprint("192.0.2.", i))))
		}
		for i := range 6 {
			require.Equal(t, i >= 2, knows(fmt.Sprint("192.0.2.", i)), i)
		}
		require.Positive(t, cache.TTL(t.Context(), knownAddressesKey(testMobile)).Val())
		codes.now = func() time.Time { return begun.Add(knownAddressTTL + 4*time.Second) }
		require.False(t, knows("192.0.2.2"))
		require.True(t, knows("192.0.2.5"))
	})
}

func TestLimitOfAllTogether(t *testing.T) {
	t.Parallel()
	onEachRedis(t, func(t *testing.T, url string) {
		codes, cache := testCodes(t, url, Limits{PerMinuteAll: 5})
		other, _ := testCodes(t, url, Limits{PerMinuteAll: 5})
		ask := func(i int) error {
			c := []*Codes{codes, other}[i%2]
			_, err := c.Request(t.Context(), fmt.Sprintf("139%08d", i), fmt.Sprint("192.0.2.", i))
			return err
		}
		for i := range 5 {
			require.NoError(t, ask(i), "each of the two processes sends a part")
		}
		for i := range 4 {
			requireLimit(t, ask(5+i), ScopeAll, time.Minute)
		}
		for _, pattern := range []string{"*13900000005*", "*192.0.2.5*"} {
			require.Empty(t, cache.Keys(t.Context(), pattern).Val(), "a refused request used up an allowance")
		}
		require.Equal(t, 2., testutil.ToFloat64(codes.refused.WithLabelValues(ScopeAll)))

		require.NoError(t, cache.Del(t.Context(), "paidui:sms:{all}:minute").Err())
		require.NoError(t, ask(5), "a minute later")

		free, _ := testCodes(t, url, Limits{})
		for i := range 20 {
			_, err := free.Request(t.Context(), fmt.Sprintf("137%08d", i), "203.0.113.1")
			require.NoError(t, err)
		}
	})
}

func TestConcurrentRequestsForOneNumber(t *testing.T) {
	t.Parallel()
	onEachRedis(t, func(t *testing.T, url string) {
		codes, cache := testCodes(t, url, Limits{PerAddress: 10})
		var sent, refused atomic.Int64
		var group sync.WaitGroup
		for i := range 40 {
			group.Go(func() {
				_, err := codes.Request(t.Context(), testMobile, fmt.Sprintf("192.0.2.%d", i%8))
				var limit *LimitError
				switch {
				case err == nil:
					sent.Add(1)
				case errors.As(err, &limit) && limit.Scope == ScopeMinute:
					refused.Add(1)
				default:
					t.Errorf("unexpected: %v", err)
				}
			})
		}
		group.Wait()
		require.EqualValues(t, 1, sent.Load())
		require.EqualValues(t, 39, refused.Load())
		var taken int64
		for i := range 8 {
			n, err := cache.SCard(t.Context(), fmt.Sprintf("paidui:sms:{addr:192.0.2.%d}:hour", i)).Result()
			require.NoError(t, err)
			taken += n
		}
		require.EqualValues(t, 1, taken)
	})
}

func TestEnqueueThatFailsGivesEverythingBack(t *testing.T) {
	t.Parallel()
	cache := testCache(t, testenv.RedisURL(t))
	queue := testenv.Redis(t)
	codes := NewCodes(cache, tasks.NewClient(taskstest.Broker(t, queue.URL(0))), Limits{})
	queue.Stop()
	_, err := codes.Request(t.Context(), testMobile, "192.0.2.1")
	require.Error(t, err)
	var refused *LimitError
	require.NotErrorAs(t, err, &refused)
	require.NotContains(t, err.Error(), testMobile)
	size, err := cache.DBSize(t.Context()).Result()
	require.NoError(t, err)
	require.Zero(t, size)

	queue.Start()
	require.Eventually(t, func() bool {
		_, err := codes.Request(t.Context(), testMobile, "192.0.2.1")
		require.NotErrorAs(t, err, &refused)
		return err == nil
	}, 20*time.Second, 50*time.Millisecond)
}

func TestWithoutItsCacheEverythingFails(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	codes, _ := testCodes(t, server.URL(0), Limits{})
	server.Kill()
	begun := time.Now()
	_, err := codes.Request(t.Context(), testMobile, "192.0.2.1")
	require.Error(t, err)
	require.Less(t, time.Since(begun), requestTimeout+undoTimeout)
	var refused *LimitError
	require.NotErrorAs(t, err, &refused)
	require.NotContains(t, err.Error(), testMobile)
	err = codes.Consume(t.Context(), testMobile, "123456", "192.0.2.1")
	require.Error(t, err)
	for _, answer := range []error{ErrNoCode, ErrWrongCode, ErrTooManyTries} {
		require.NotErrorIs(t, err, answer)
	}
}

func TestLimitErrorSaysWhen(t *testing.T) {
	err := &LimitError{Scope: ScopeMinute, RetryAfter: wholeSeconds(41_001 * time.Millisecond)}
	require.EqualError(t, err, "sms: the minute limit is reached, retry after 42 s")
	require.Equal(t, time.Second, wholeSeconds(0))
}

func TestUndoLeavesANewerCodeAlone(t *testing.T) {
	t.Parallel()
	onEachRedis(t, func(t *testing.T, url string) {
		codes, cache := testCodes(t, url, Limits{})
		g := newGrant(cache, codes.limits, testMobile, clientOf("192.0.2.1"), false, time.Now())
		require.NoError(t, g.take(t.Context()))
		other := newGrant(cache, codes.limits, "13900000000", clientOf("192.0.2.1"), false, time.Now())
		require.NoError(t, other.take(t.Context()))
		require.NoError(t, cache.Set(t.Context(), codeKey(testMobile), "222222", CodeTTL).Err())

		for range 2 {
			require.NoError(t, codes.undo(t.Context(), g, testMobile, "111111"))
			require.Equal(t, "222222", cache.Get(t.Context(), codeKey(testMobile)).Val())
			require.EqualValues(t, 1, cache.SCard(t.Context(), other.groups[0][0].key).Val(), "the other grant is gone")
		}
		require.NoError(t, codes.undo(t.Context(), g, testMobile, "222222"))
		require.Zero(t, cache.Exists(t.Context(), codeKey(testMobile)).Val())
	})
}

func TestTakingAGrantAgainCountsOnce(t *testing.T) {
	t.Parallel()
	onEachRedis(t, func(t *testing.T, url string) {
		cache := testCache(t, url)
		g := newGrant(cache, Limits{}.withDefaults(), testMobile, clientOf("192.0.2.1"), false, time.Now())
		for range 3 {
			require.NoError(t, g.take(t.Context()))
		}
		require.EqualValues(t, 1, cache.SCard(t.Context(), g.groups[0][0].key).Val())
	})
}

func TestCancelledRequest(t *testing.T) {
	t.Parallel()
	codes, cache := testCodes(t, testenv.RedisURL(t), Limits{})
	ctx, cancel := context.WithCancel(t.Context())
	hanging := &cancelOnFirst{cancel: cancel}
	cache.AddHook(hanging)
	_, err := codes.Request(ctx, testMobile, "192.0.2.1")
	require.NoError(t, err, "a client that hangs up midway changes nothing")
	require.Error(t, ctx.Err())

	_, err = codes.Request(ctx, "13900000000", "192.0.2.1")
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, cache.Exists(t.Context(), codeKey("13900000000")).Val())
}

// cancelOnFirst cancels before the first command is sent.
type cancelOnFirst struct{ cancel context.CancelFunc }

func (h *cancelOnFirst) DialHook(next redis.DialHook) redis.DialHook { return next }
func (h *cancelOnFirst) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		h.cancel()
		return next(ctx, cmd)
	}
}
func (h *cancelOnFirst) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func TestLimitsSurviveAKeyWithoutExpiry(t *testing.T) {
	t.Parallel()
	onEachRedis(t, func(t *testing.T, url string) {
		codes, cache := testCodes(t, url, Limits{})
		key := "paidui:sms:{" + testMobile + "}:minute"
		require.NoError(t, cache.SAdd(t.Context(), key, "left behind").Err())
		_, err := codes.Request(t.Context(), testMobile, "192.0.2.1")
		requireLimit(t, err, ScopeMinute, time.Minute)
		require.Positive(t, cache.PTTL(t.Context(), key).Val())
	})
}

func TestCodesAreUniform(t *testing.T) {
	const draws = 20_000
	var seen [6][10]int
	for range draws {
		code, err := drawCode()
		require.NoError(t, err)
		require.Len(t, code, 6)
		for place, digit := range []byte(code) {
			seen[place][digit-'0']++
		}
	}
	for place := range seen {
		for digit, n := range seen[place] { // the standard deviation is 42
			require.InDelta(t, draws/10, n, 300, "digit %d at place %d", digit, place)
		}
	}
}

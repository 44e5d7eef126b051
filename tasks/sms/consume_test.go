package sms

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/paidui/paidui/deploy/testenv"
)

func setCode(t *testing.T, cache *redis.Client, code string) {
	t.Helper()
	askedFrom(t, cache, code, "192.0.2.1")
}

// askedFrom has the code be one that the address asked for.
func askedFrom(t *testing.T, cache *redis.Client, code, addr string) {
	t.Helper()
	keys := []string{codeKey(testMobile), triesKey(testMobile)}
	require.NoError(t, saveCodeScript.Run(t.Context(), cache, keys, code, CodeTTL.Milliseconds(), clientOf(addr).address).Err())
}

func TestConsumeOnce(t *testing.T) {
	t.Parallel()
	onEachRedis(t, func(t *testing.T, url string) {
		codes, cache := testCodes(t, url, Limits{})
		require.ErrorIs(t, codes.Consume(t.Context(), testMobile, "123456", "192.0.2.1"), ErrNoCode)
		setCode(t, cache, "012345")
		require.ErrorIs(t, codes.Consume(t.Context(), "13900000000", "012345", "192.0.2.1"), ErrNoCode)
		require.NoError(t, codes.Consume(t.Context(), testMobile, "012345", "192.0.2.1"))
		require.ErrorIs(t, codes.Consume(t.Context(), testMobile, "012345", "192.0.2.1"), ErrNoCode)
		require.Zero(t, cache.Exists(t.Context(), codeKey(testMobile), triesKey(testMobile)).Val())
		for _, key := range cache.Keys(t.Context(), "*").Val() {
			require.Positive(t, cache.PTTL(t.Context(), key).Val(), "%s stays for good", key)
		}
	})
}

func TestConsumeConcurrently(t *testing.T) {
	t.Parallel()
	onEachRedis(t, func(t *testing.T, url string) {
		codes, cache := testCodes(t, url, Limits{PerAddress: 1000})
		for range 10 {
			setCode(t, cache, "012345")
			var wins atomic.Int64
			var group sync.WaitGroup
			for range 20 {
				group.Go(func() {
					switch err := codes.Consume(t.Context(), testMobile, "012345", "192.0.2.1"); {
					case err == nil:
						wins.Add(1)
					case !errors.Is(err, ErrNoCode):
						t.Errorf("unexpected: %v", err)
					}
				})
			}
			group.Wait()
			require.EqualValues(t, 1, wins.Load())
		}
	})
}

func TestAnAddressHasFiveWrongTriesOfACode(t *testing.T) {
	t.Parallel()
	onEachRedis(t, func(t *testing.T, url string) {
		codes, cache := testCodes(t, url, Limits{})
		try := func(code, addr string) error { return codes.Consume(t.Context(), testMobile, code, addr) }
		for _, guesser := range []string{"192.0.2.1", "198.51.100.1", "2001:db8::1"} { // the one who asked, and strangers
			setCode(t, cache, "012345")
			for range 4 {
				require.ErrorIs(t, try("999999", guesser), ErrWrongCode)
			}
			left, codeLeft := cache.PTTL(t.Context(), triesKey(testMobile)).Val(), cache.PTTL(t.Context(), codeKey(testMobile)).Val()
			require.InDelta(t, codeLeft, left, float64(30*time.Second), "the count lives as long as the code")
			require.ErrorIs(t, try("999999", guesser), ErrTooManyTries)
			require.ErrorIs(t, try("012345", guesser), ErrTooManyTries)
			require.NoError(t, try("012345", "203.0.113.7"), "others may")

			setCode(t, cache, "543210")
			for range 4 {
				require.ErrorIs(t, try("999999", guesser), ErrWrongCode, "a new code starts its own count")
			}
			require.NoError(t, try("543210", guesser))
		}
	})
}

// Strangers try a code from everywhere; its owner asked for it.
func TestStrangersDoNotMakeTheOwnersCodeVoid(t *testing.T) {
	t.Parallel()
	onEachRedis(t, func(t *testing.T, url string) {
		codes, cache := testCodes(t, url, Limits{})
		try := func(code, addr string) error { return codes.Consume(t.Context(), testMobile, code, addr) }
		setCode(t, cache, "012345")
		for i := range 14 {
			require.ErrorIs(t, try("999999", fmt.Sprint("198.51.100.", i)), ErrWrongCode)
		}
		require.ErrorIs(t, try("999999", "198.51.100.14"), ErrTooManyTries, "the fifteenth of all strangers")
		require.ErrorIs(t, try("012345", "198.51.100.200"), ErrTooManyTries, "not even the right one")
		for range 4 {
			require.ErrorIs(t, try("999999", "192.0.2.1"), ErrWrongCode)
		}
		require.NoError(t, try("012345", "192.0.2.1"))

		setCode(t, cache, "012345")
		for i := range 30 {
			_ = try("999999", fmt.Sprint("198.51.100.", i))
		}
		for range 5 {
			_ = try("999999", "192.0.2.1")
		}
		require.Zero(t, cache.Exists(t.Context(), codeKey(testMobile)).Val(), "which nobody may try any more")
		require.ErrorIs(t, try("012345", "192.0.2.1"), ErrTooManyTries)
		require.ErrorIs(t, try("012345", "198.51.100.200"), ErrTooManyTries)
	})
}

func TestANetworkHasFiveWrongTriesOfACode(t *testing.T) {
	t.Parallel()
	onEachRedis(t, func(t *testing.T, url string) {
		codes, cache := testCodes(t, url, Limits{})
		askedFrom(t, cache, "012345", "2001:db8:0:ff::1")
		for i := range 4 {
			require.ErrorIs(t, codes.Consume(t.Context(), testMobile, "999999", fmt.Sprintf("2001:db8:0:%x::1", i)), ErrWrongCode)
		}
		require.ErrorIs(t, codes.Consume(t.Context(), testMobile, "999999", "2001:db8:0:4::1"), ErrTooManyTries)
		require.ErrorIs(t, codes.Consume(t.Context(), testMobile, "012345", "2001:db8:0:5::1"), ErrTooManyTries)
		require.NoError(t, codes.Consume(t.Context(), testMobile, "012345", "2001:db8:0:ff::2"), "the owner, in the same /48")
	})
}

// Whoever guesses, from wherever, in whatever order: few guesses of a code are looked at, and the owner's own five are his.
func TestGuessesOfACodeAreBounded(t *testing.T) {
	t.Parallel()
	codes, cache := testCodes(t, testenv.RedisURL(t), Limits{PerAddress: 1_000_000})
	rapid.Check(t, func(rt *rapid.T) {
		const owner = "192.0.2.1"
		addr := rapid.OneOf(
			rapid.Just(owner),
			rapid.Map(rapid.IntRange(0, 20), func(i int) string { return fmt.Sprint("198.51.100.", i) }),
			rapid.Custom(func(rt *rapid.T) string {
				return fmt.Sprintf("2001:db8:%x:%x::1", rapid.IntRange(0, 5).Draw(rt, "/48"), rapid.IntRange(0, 5).Draw(rt, "/64"))
			}),
		)
		setCode(t, cache, "012345")
		looked, own := map[string]int{}, 0
		total := 0
		for range rapid.IntRange(0, 60).Draw(rt, "guesses") {
			from := addr.Draw(rt, "addr")
			network := clientOf(from).network
			err := codes.Consume(t.Context(), testMobile, "999999", from)
			if from == owner {
				own++
				wantVoid := own >= maxTries
				if errors.Is(err, ErrTooManyTries) != wantVoid {
					rt.Fatalf("the owner's try %d: %v", own, err)
				}
			}
			if before := looked[network]; errors.Is(err, ErrWrongCode) {
				looked[network] = before + 1
				total++
			} else if !errors.Is(err, ErrTooManyTries) {
				rt.Fatalf("unexpected: %v", err)
			}
			// The try that uses the allowance up is looked at and answered ErrTooManyTries.
			if looked[network] >= maxTries || total >= maxOthers+maxTries {
				rt.Fatalf("%d tries from %s and %d in all were looked at", looked[network]+1, network, total+1)
			}
		}
		err := codes.Consume(t.Context(), testMobile, "012345", owner)
		if own < maxTries && err != nil || own >= maxTries && !errors.Is(err, ErrTooManyTries) {
			rt.Fatalf("after %d of his own wrong tries the owner gets: %v", own, err)
		}
	})
}

// Another program, or an earlier build, keeps a code alone.
func TestACodeThatSomethingElseKept(t *testing.T) {
	t.Parallel()
	onEachRedis(t, func(t *testing.T, url string) {
		codes, cache := testCodes(t, url, Limits{})
		try := func(code, addr string) error { return codes.Consume(t.Context(), testMobile, code, addr) }
		setCode(t, cache, "012345")
		for range 5 {
			_ = try("999999", "192.0.2.1")
		}
		require.ErrorIs(t, try("012345", "192.0.2.1"), ErrTooManyTries)
		require.NoError(t, cache.Set(t.Context(), codeKey(testMobile), "543210", CodeTTL).Err())
		require.ErrorIs(t, try("999999", "192.0.2.1"), ErrWrongCode, "tries of the code before do not count")
		for i := range 14 {
			_ = try("999999", fmt.Sprint("198.51.100.", i))
		}
		require.Zero(t, cache.Exists(t.Context(), codeKey(testMobile)).Val(), "nobody asked for it, so nobody has tries of his own")
		require.ErrorIs(t, try("543210", "192.0.2.1"), ErrTooManyTries)
	})
}

func TestConcurrentGuessesCountEach(t *testing.T) {
	t.Parallel()
	onEachRedis(t, func(t *testing.T, url string) {
		codes, cache := testCodes(t, url, Limits{})
		setCode(t, cache, "012345")
		var wrong, void atomic.Int64
		var group sync.WaitGroup
		for range 30 {
			group.Go(func() {
				switch err := codes.Consume(t.Context(), testMobile, "999999", "192.0.2.1"); {
				case errors.Is(err, ErrWrongCode):
					wrong.Add(1)
				case errors.Is(err, ErrTooManyTries):
					void.Add(1)
				default:
					t.Errorf("unexpected: %v", err)
				}
			})
		}
		group.Wait()
		require.EqualValues(t, 4, wrong.Load())
		require.EqualValues(t, 26, void.Load())
	})
}

func TestCodesOfAnotherShapeAreWrongAndDoNotCount(t *testing.T) {
	t.Parallel()
	onEachRedis(t, func(t *testing.T, url string) {
		codes, cache := testCodes(t, url, Limits{})
		setCode(t, cache, "012345")
		for _, code := range []string{"", "12345", "0123456", "01234a", "０１２３４５", "01234 ", " 12345", "-12345", "012345\n", "01234\x00"} {
			require.ErrorIs(t, codes.Consume(t.Context(), testMobile, code, "192.0.2.1"), ErrWrongCode, "%q", code)
		}
		require.EqualValues(t, 2, cache.HLen(t.Context(), triesKey(testMobile)).Val())
		require.NoError(t, codes.Consume(t.Context(), testMobile, "012345", "192.0.2.1"))
	})
}

func TestConsumeBesideACodeThatNeverExpires(t *testing.T) {
	t.Parallel()
	onEachRedis(t, func(t *testing.T, url string) {
		codes, cache := testCodes(t, url, Limits{})
		require.NoError(t, cache.Set(t.Context(), codeKey(testMobile), "012345", 0).Err())
		require.ErrorIs(t, codes.Consume(t.Context(), testMobile, "999999", "192.0.2.1"), ErrWrongCode)
		require.Positive(t, cache.PTTL(t.Context(), triesKey(testMobile)).Val())
		require.NoError(t, codes.Consume(t.Context(), testMobile, "012345", "192.0.2.1"))
	})
}

// repeating runs every script twice and drops the first answer, as the client does when a connection breaks between
// the two.
type repeating struct{}

func (repeating) DialHook(next redis.DialHook) redis.DialHook { return next }
func (repeating) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if strings.HasPrefix(cmd.Name(), "eval") {
			if err := next(ctx, cmd); err != nil {
				return err
			}
		}
		return next(ctx, cmd)
	}
}
func (repeating) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func TestAnAnswerThatIsLostIsGivenAgain(t *testing.T) {
	t.Parallel()
	onEachRedis(t, func(t *testing.T, url string) {
		codes, cache := testCodes(t, url, Limits{})
		setCode(t, cache, "012345")
		cache.AddHook(repeating{})
		try := func(code string) error { return codes.Consume(t.Context(), testMobile, code, "192.0.2.1") }
		for range 4 {
			require.ErrorIs(t, try("999999"), ErrWrongCode)
		}
		require.Equal(t, "4", cache.HGet(t.Context(), triesKey(testMobile), "asker:192.0.2.1").Val(), "each counts once")
		require.NoError(t, try("012345"))
		require.ErrorIs(t, try("012345"), ErrNoCode, "another attempt is not the same one")

		setCode(t, cache, "012345")
		for range 4 {
			require.ErrorIs(t, try("999999"), ErrWrongCode)
		}
		require.ErrorIs(t, try("999999"), ErrTooManyTries)
		window := newTry(cache, codes.limits, clientOf("192.0.2.1")).groups[0][0]
		require.EqualValues(t, 10, cache.SCard(t.Context(), window.key).Val())
	})
}

func TestAnAddressTriesOnlySoMuchInVain(t *testing.T) {
	t.Parallel()
	onEachRedis(t, func(t *testing.T, url string) {
		codes, cache := testCodes(t, url, Limits{PerAddress: 2})
		setCode(t, cache, "012345")
		try := func(mobile, code, addr string) error { return codes.Consume(t.Context(), mobile, code, addr) }
		for i := range 6 {
			require.NoError(t, try(testMobile, "012345", "2001:db8::1"), "what is not in vain does not count")
			setCode(t, cache, "012345")
			require.ErrorIs(t, try(testMobile, "no code", "2001:db8::1"), ErrWrongCode)
			require.ErrorIs(t, try(fmt.Sprintf("1390000000%d", i), "999999", "2001:db8::1"), ErrNoCode)
		}
		for range 7 {
			requireLimit(t, try(testMobile, "999999", "2001:db8::2"), ScopeTries, time.Hour)
		}
		requireLimit(t, try(testMobile, "012345", "2001:db8::2"), ScopeTries, time.Hour)
		require.NoError(t, try(testMobile, "012345", "192.0.2.1"), "the number's code is not void, and others go on")
	})
}

func TestHangingUpDoesNotGiveATryBack(t *testing.T) {
	t.Parallel()
	codes, cache := testCodes(t, testenv.RedisURL(t), Limits{})
	setCode(t, cache, "012345")
	ctx, cancel := context.WithCancel(t.Context())
	cache.AddHook(&cancelOnFirst{cancel: cancel})
	require.ErrorIs(t, codes.Consume(ctx, testMobile, "999999", "192.0.2.1"), ErrWrongCode)
	require.Error(t, ctx.Err())
	require.EqualValues(t, 1, cache.SCard(t.Context(), newTry(cache, codes.limits, clientOf("192.0.2.1")).groups[0][0].key).Val())
	require.ErrorIs(t, codes.Consume(ctx, testMobile, "999999", "192.0.2.1"), context.Canceled)
}

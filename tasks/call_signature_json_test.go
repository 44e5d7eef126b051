package tasks

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/paidui/paidui/tasks/broker"
)

type letter struct {
	Text string         `json:"text"`
	More map[string]any `json:"more,omitempty"`
}

var (
	post    = Define[letter, int]("test.post", Queue("post"), Tags("post"), MaxRetries(7), OnFailure(plainer.Signature(letter{Text: "lost"})))
	plainer = Define[letter, int]("test.plainer")
)

// drawOptions draws options of a call that are all in range, alone and together.
func drawOptions(t *rapid.T, depth int) []Option {
	seconds := func(name string, most time.Duration) time.Duration {
		return time.Duration(rapid.Int64Range(1, int64(most)).Draw(t, name))
	}
	text := rapid.StringN(0, 40, 200)
	tag := rapid.StringMatching(`[a-zA-Z0-9:中<>&"'\\/-]{1,20}`)
	any := []func() Option{
		func() Option { return Queue(rapid.SampledFrom([]string{"a", "b", "default"}).Draw(t, "queue")) },
		func() Option {
			return Priority(rapid.SampledFrom([]PriorityLevel{Low, Normal, High}).Draw(t, "priority"))
		},
		func() Option {
			return History(rapid.SampledFrom([]HistoryMode{HistoryOff, HistoryMeta, HistoryFull}).Draw(t, "history"))
		},
		func() Option {
			return Header(rapid.StringMatching(`[A-Za-z0-9._-]{1,10}`).Draw(t, "key"), text.Draw(t, "value"))
		},
		func() Option { return Tags(rapid.SliceOfN(tag, 0, 4).Draw(t, "tags")...) },
		func() Option { return ExpiresIn(seconds("expires", MaxRetention)) },
		func() Option { return MaxRetries(rapid.IntRange(0, MaxMaxRetries).Draw(t, "retries")) },
		func() Option { return Backoff(seconds("base", time.Minute), time.Minute+seconds("cap", time.Hour)) },
		func() Option { return Jitter(rapid.Bool().Draw(t, "jitter")) },
		func() Option { return Timeout(time.Millisecond + seconds("timeout", time.Hour)) },
		func() Option { return HardTimeout(time.Hour + 2*time.Millisecond + seconds("hard", time.Hour)) },
		func() Option { return MaxCrashes(rapid.IntRange(1, MaxMaxCrashes).Draw(t, "crashes")) },
		func() Option { return ResultLimit(rapid.IntRange(0, MaxResult).Draw(t, "limit")) },
		func() Option { return Retention(seconds("retention", MaxRetention)) },
	}
	var list []Option
	for range rapid.IntRange(0, 6).Draw(t, "options") {
		list = append(list, any[rapid.IntRange(0, len(any)-1).Draw(t, "option")]())
	}
	debounced := false
	switch rapid.IntRange(0, 8).Draw(t, "unique") {
	case 0:
		list = append(list, UniqueFor(seconds("unique_for", MaxRetention)))
	case 1:
		list = append(list, UniqueUntilDone(), UniqueKey("key"))
	case 2:
		list = append(list, Throttle(seconds("throttle", MaxRetention)), UniqueKey(`k<"é`))
	case 3:
		list, debounced = append(list, Debounce(seconds("debounce", time.Hour))), true
	}
	if !debounced {
		switch rapid.IntRange(0, 3).Draw(t, "start") {
		case 0:
			list = append(list, Countdown(seconds("countdown", MaxDelay)))
		case 1:
			list = append(list, ETA(time.Unix(0, rapid.Int64Range(0, 2_500_000_000_000_000_000).Draw(t, "eta"))))
		case 2:
			list = append(list, ID(rapid.StringMatching(`[A-Za-z0-9._:@-]{1,30}`).Draw(t, "id")))
		}
	}
	if depth > 0 {
		calls := rapid.IntRange(0, 2)
		for range calls.Draw(t, "on_success") {
			list = append(list, OnSuccess(drawSignature(t, depth-1)))
		}
		for range calls.Draw(t, "on_failure") {
			list = append(list, OnFailure(drawSignature(t, depth-1)))
		}
	}
	return list
}

func drawSignature(t *rapid.T, depth int) Signature {
	args := letter{Text: rapid.String().Draw(t, "text")}
	if rapid.Bool().Draw(t, "more") {
		args.More = map[string]any{rapid.String().Draw(t, "name"): rapid.Float64().Draw(t, "number")}
	}
	if rapid.Bool().Draw(t, "definition") {
		return post.Signature(args, drawOptions(t, depth)...)
	}
	return plainer.Signature(args, drawOptions(t, depth)...)
}

var (
	testNow    = time.Date(2026, 11, 21, 14, 15, 16, 123_456_789, time.UTC)
	testClient = &Client{
		now:    func() time.Time { return testNow },
		routes: Routes{{"test.post", "routed"}},
	}
)

// TestASignatureSurvivesJSON: whatever it was made of, a signature that was stored makes the same message.
func TestASignatureSurvivesJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ctx := WithRequestID(t.Context(), "of-the-caller")
		s := drawSignature(t, 2)
		stored := throughJSON(t, s)
		require.Equal(t, s.Task(), stored.Task())
		want, err := testClient.message(ctx, s.name, s.payload, &s.options)
		got, gotErr := testClient.message(ctx, stored.name, stored.payload, &stored.options)
		require.Equal(t, err, gotErr)
		if err == nil {
			require.Equal(t, withoutMadeIDs(want), withoutMadeIDs(got))
		}

		resolved, id, err := s.Resolve(ctx, testClient)
		if err != nil {
			return
		}
		again := throughJSON(t, resolved)
		later := &Client{now: func() time.Time { return testNow.Add(1000 * time.Hour) }} // in another process, without routes
		want, err = testClient.message(ctx, resolved.name, resolved.payload, &resolved.options)
		require.NoError(t, err)
		require.Equal(t, id, want.ID)
		got, err = later.message(t.Context(), again.name, again.payload, &again.options)
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

func throughJSON(t require.TestingT, s Signature) Signature {
	raw, err := json.Marshal(s)
	require.NoError(t, err)
	var stored Signature
	require.NoError(t, json.Unmarshal(raw, &stored), "%s", raw)
	other, err := jsonv2.Marshal(s) // which spells strings in another way
	require.NoError(t, err)
	var fromOther Signature
	require.NoError(t, jsonv2.Unmarshal(other, &fromOther))
	require.Equal(t, string(stored.payload), string(fromOther.payload))
	return stored
}

var madeID = regexp.MustCompile(`_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"`)

// withoutMadeIDs blots out what is drawn anew each time: ids that nobody chose, in callbacks too.
func withoutMadeIDs(m *broker.Message) broker.Message {
	clone := *m
	if _, made := queueOf(m.ID); made {
		clone.ID = ""
	}
	clone.Headers = nil
	for _, h := range m.Headers {
		h.Value = madeID.ReplaceAllString(h.Value, `"`)
		clone.Headers = append(clone.Headers, h)
	}
	return clone
}

func TestASignatureIsFullyResolved(t *testing.T) {
	t.Parallel()
	s := post.Signature(letter{Text: "<hi>"}, Header("a", "b"), Countdown(90*time.Second), OnSuccess(plainer.Signature(letter{}, ID("then"))))
	raw, err := json.Marshal(s)
	require.NoError(t, err)
	require.Equal(t, `{"task":"test.post","args":{"text":"\u003chi\u003e"},"countdown":"1m30s","max_retries":7,"tags":["post"],"headers":{"a":"b"},`+
		`"on_success":[{"task":"test.plainer","args":{"text":""},"id":"then","definition_queue":"default"}],`+
		`"on_failure":[{"task":"test.plainer","args":{"text":"lost"},"definition_queue":"default"}],"definition_queue":"post"}`, string(raw))

	for text, want := range map[string]string{
		``:                                     "unexpected",
		`{}`:                                   "task name",
		`{"task":"a b"}`:                       "task name",
		`{"task":"a","colour":1}`:              "unknown",
		`{"task":"a","Queue":"x"}`:             "unknown",
		`{"task":"a","queue":"x","queue":"y"}`: "duplicate",
		`{"task":"a","id":""}`:                 "option id",
		`{"task":"a","priority":"urgent"}`:     "want high, normal or low",
		`{"task":"a","on_success":[{"task":"é"}]}`: "task name",
		`{"task":"a","args":}`:                     "invalid",
	} {
		var s Signature
		require.ErrorContains(t, json.Unmarshal([]byte(text), &s), want, text)
	}
	for _, s := range []Signature{{}, post.Signature(letter{}, UniqueKey("")), strictly.Signature(refused{})} {
		_, err := json.Marshal(s)
		require.Error(t, err)
		_, err = s.Enqueue(t.Context(), testClient)
		require.Error(t, err)
		_, _, err = s.Resolve(t.Context(), testClient)
		require.Error(t, err)
		require.Error(t, EnqueueMany(t.Context(), testClient, []Signature{s})[0].Err)
	}
}

type refused struct{}

func (refused) Validate() error { return fmt.Errorf("never") }

var strictly = Define[refused, int]("test.strictly")

func TestRoutesGiveWayToTheCall(t *testing.T) {
	t.Parallel()
	queue := func(c *Client, s Signature) string {
		m, err := c.message(t.Context(), s.name, s.payload, &s.options)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(m.ID, m.Queue+"_"))
		return m.Queue
	}
	s := post.Signature(letter{})
	require.Equal(t, "routed", queue(testClient, s))
	require.Equal(t, "post", queue(&Client{now: time.Now}, s))
	require.Equal(t, "own", queue(testClient, s.With(Queue("own"))))
	require.Equal(t, "post", queue(testClient, s.With(Queue("post"))))
	require.Equal(t, "default", queue(testClient, plainer.Signature(letter{})))
	require.Equal(t, "routed", queue(testClient, throughJSON(t, s)), "rules hold when it is enqueued")
	resolved, _, err := s.Resolve(t.Context(), testClient)
	require.NoError(t, err)
	require.Equal(t, "routed", queue(&Client{now: time.Now}, resolved))
}

// TestCallbacksAreFixed: however often the end of a task is reported, from wherever, its callbacks are the same tasks.
func TestCallbacksAreFixed(t *testing.T) {
	t.Parallel()
	callback := post.Signature(letter{}, Countdown(time.Hour), OnSuccess(post.Signature(letter{})))
	s := plainer.Signature(letter{}, OnSuccess(callback), OnFailure(plainer.Signature(letter{}, ID("chosen"))))
	m, err := testClient.message(t.Context(), s.name, s.payload, &s.options)
	require.NoError(t, err)
	require.Empty(t, callback.options.id, "the caller's signature stays as it is")
	carried := map[string]string{}
	for _, h := range m.Headers {
		carried[h.Key] = h.Value
	}
	h := parseHeaders(carried)
	calls, err := decodeCalls(h.onSuccess)
	require.NoError(t, err)
	require.Len(t, calls, 1)
	first, err := testClient.message(t.Context(), calls[0].name, calls[0].payload, &calls[0].options)
	require.NoError(t, err)
	elsewhere := &Client{now: time.Now, routes: Routes{{"*", "elsewhere"}}}
	second, err := elsewhere.message(t.Context(), calls[0].name, calls[0].payload, &calls[0].options)
	require.NoError(t, err)
	require.Regexp(t, "^routed_", first.ID)
	require.Equal(t, []string{first.ID, first.Queue}, []string{second.ID, second.Queue})
	require.Equal(t, testNow.Add(time.Hour).Truncate(time.Second).Add(time.Second), first.At, "its countdown begins when it is enqueued")
	require.Equal(t, first.Headers[2:], second.Headers[2:], "its own callbacks, too")
	id, err := accept(first, false, broker.Receipt{Outcome: broker.Taken})
	require.NoError(t, err)
	require.Equal(t, first.ID, id)
	calls, err = decodeCalls(h.onFailure)
	require.NoError(t, err)
	require.Equal(t, "chosen", calls[0].options.id)
}

func FuzzSignatureJSON(f *testing.F) {
	f.Add(`{"task":"a","args":{"n":1},"queue":"x","countdown":"1m","tags":["a"],"headers":{"k":"v"}}`)
	f.Add(`{"task":"a","on_success":[{"task":"b","made_id":true,"id":"x","enqueued_at":"2026-01-02T03:04:05Z"}]}`)
	f.Add(`{"task":"a","expires":-1,"backoff":{"base":1,"cap":"0"},"unique_until_done":true}`)
	f.Fuzz(func(t *testing.T, text string) {
		var s Signature
		if json.Unmarshal([]byte(text), &s) != nil {
			return
		}
		m, err := testClient.message(t.Context(), s.name, s.payload, &s.options)
		if err != nil {
			return
		}
		again := throughJSON(t, s)
		n, err := testClient.message(t.Context(), again.name, again.payload, &again.options)
		require.NoError(t, err)
		require.Equal(t, withoutMadeIDs(m), withoutMadeIDs(n))
	})
}

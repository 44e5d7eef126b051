package tasks

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks/broker"
)

// storedForms are calls with the forms in which they are stored: as a signature, and as a row of an outbox, which has the
// headers that travel with the task in Redis. Other builds read them.
var storedForms = map[string]struct {
	opts              []Option
	signature, outbox string
}{
	"standard": {
		opts:      []Option{ID("x")},
		signature: `{"task":"test.plainer","args":{"text":"hi"},"id":"x","definition_queue":"default"}`,
		outbox:    `{"id":"x","chosen":true,"task":"test.plainer","queue":"default","args":{"text":"hi"},"headers":[["enq","1795270516123"],["rid","request-1"],["ob","1"]],"max_retry":4,"timeout":1815,"retention":3600}`,
	},
	"all": {
		opts: []Option{
			ID("x"), Queue("q"), Priority(High), Countdown(90 * time.Second), ExpiresIn(time.Hour), MaxRetries(7),
			Backoff(2*time.Second, time.Minute), Jitter(false), Timeout(time.Minute), HardTimeout(2 * time.Minute), MaxCrashes(2),
			ResultLimit(1000), Retention(0), UniqueFor(1500 * time.Millisecond), UniqueKey("key"), History(HistoryMeta),
			Tags("a", "每天"), Header("tenant", "t1"), Header("empty", ""), Durable(),
			OnSuccess(plainer.Signature(letter{Text: "<ok>"}, ID("then"), Tags("b"))),
			OnFailure(plainer.Signature(letter{}, ID("else"), Countdown(time.Second))),
		},
		signature: `{"task":"test.plainer","args":{"text":"hi"},"id":"x","queue":"q","priority":"high","countdown":"1m30s","expires":"1h0m0s","max_retries":7,"backoff":{"base":"2s","cap":"1m0s","jitter":false},"timeout":"1m0s","hard_timeout":"2m0s","max_crashes":2,"result_limit":1000,"unique_for":"1.5s","unique_key":"key","retention":"0s","history":"meta","durable":true,"tags":["a","每天"],"headers":{"empty":"","tenant":"t1"},"on_success":[{"task":"test.plainer","args":{"text":"\u003cok\u003e"},"id":"then","tags":["b"],"definition_queue":"default"}],"on_failure":[{"task":"test.plainer","args":{"text":""},"id":"else","countdown":"1s","definition_queue":"default"}]}`,
		outbox:    `{"id":"x","chosen":true,"task":"test.plainer","queue":"q","args":{"text":"hi"},"headers":[["enq","1795270516123"],["eta","1795270606123"],["exp","1795274206123"],["tmo","60000"],["bo","2000,60000,true"],["nores","1"],["rid","request-1"],["hard","120000"],["crash","2"],["lim","1000"],["hist","meta"],["tags","a 每天"],["h:empty",""],["h:tenant","t1"],["ok","[{\"task\":\"test.plainer\",\"args\":{\"text\":\"\\u003cok\\u003e\"},\"id\":\"then\",\"queue\":\"default\",\"tags\":[\"b\"]}]"],["fail","[{\"task\":\"test.plainer\",\"args\":{\"text\":\"\"},\"id\":\"else\",\"queue\":\"default\",\"countdown\":\"1s\"}]"],["ob","1"]],"max_retry":8,"timeout":130,"retention":900,"at":1795270607,"priority":1,"tags":["a","每天"],"unique_for":2,"key":"a2V5"}`,
	},
	"throttled at a time": {
		opts: []Option{
			ID("x"), Priority(Low), ETA(testNow.Add(time.Hour)), Expires(testNow.Add(2 * time.Hour)), Throttle(10 * time.Second),
			History(HistoryOff), ResultLimit(0), Timeout(1500 * time.Millisecond),
		},
		signature: `{"task":"test.plainer","args":{"text":"hi"},"id":"x","priority":"low","eta":"2026-11-21T15:15:16.123456789Z","expires":"2026-11-21T16:15:16.123456789Z","timeout":"1.5s","result_limit":0,"throttle":"10s","history":"off","definition_queue":"default"}`,
		outbox:    `{"id":"x","chosen":true,"task":"test.plainer","queue":"default","args":{"text":"hi"},"headers":[["enq","1795270516123"],["eta","1795274116123"],["exp","1795277716123"],["tmo","1500"],["rid","request-1"],["lim","0"],["hist","off"],["ob","1"]],"max_retry":4,"timeout":17,"retention":3600,"at":1795274117,"priority":2,"throttle":10}`,
	},
	"debounced": {
		opts:      []Option{MadeID("x"), Debounce(3 * time.Second), ExpiresIn(time.Minute), UniqueUntilDone(), UniqueFor(0)},
		signature: `{"task":"test.plainer","args":{"text":"hi"},"id":"x","expires":"1m0s","debounce":"3s","definition_queue":"default","made_id":true}`,
		outbox:    `{"id":"x","task":"test.plainer","queue":"default","args":{"text":"hi"},"headers":[["enq","1795270516123"],["exp","1795270580000"],["rid","request-1"],["ob","1"]],"max_retry":4,"timeout":1815,"retention":3600,"at":1795270520}`,
	},
}

// TestStoredFormsStay: what is stored is the same, byte for byte, as that of other builds.
func TestStoredFormsStay(t *testing.T) {
	t.Parallel()
	ctx := WithRequestID(t.Context(), "request-1")
	for name, form := range storedForms {
		s := plainer.Signature(letter{Text: "hi"}, form.opts...)
		signature, err := json.Marshal(s)
		require.NoError(t, err)
		require.Equal(t, form.signature, string(signature), name)
		m, err := testClient.message(ctx, s.name, s.payload, &s.options)
		require.NoError(t, err)
		outbox, err := json.Marshal(newOutboxMessage(m))
		require.NoError(t, err)
		require.Equal(t, form.outbox, string(outbox), name)
	}
}

// TestStoredHeadersStay: all headers, in their order.
func TestStoredHeadersStay(t *testing.T) {
	t.Parallel()
	h := parseHeaders(nil)
	h.enqueued, h.eta, h.expires = testNow, testNow, testNow
	h.timeout, h.hardTimeout, h.backoff, h.maxCrashes, h.resultLimit = time.Second, time.Minute, backoff{exact: true}, 1, 2
	h.history, h.noResult, h.outbox, h.encrypted, h.requestID = HistoryOff, true, true, true, "r"
	h.tags, h.user, h.onSuccess, h.onFailure, h.parent = []string{"a"}, []broker.Header{{Key: "k", Value: "v"}}, "[]", "[{}]", "{}"
	const now = "1795270516123"
	list := h.encode()
	require.Equal(t, []broker.Header{
		{Key: "enq", Value: now}, {Key: "eta", Value: now}, {Key: "exp", Value: now}, {Key: "tmo", Value: "1000"}, {Key: "bo", Value: "0,0,true"},
		{Key: "nores", Value: "1"}, {Key: "ob", Value: "1"}, {Key: "enc", Value: "1"}, {Key: "rid", Value: "r"}, {Key: "hard", Value: "60000"},
		{Key: "crash", Value: "1"}, {Key: "lim", Value: "2"}, {Key: "hist", Value: "off"}, {Key: "tags", Value: "a"}, {Key: "h:k", Value: "v"},
		{Key: "ok", Value: "[]"}, {Key: "fail", Value: "[{}]"}, {Key: "par", Value: "{}"},
	}, list)
	stored := map[string]string{"run": "3"}
	for _, pair := range list {
		stored[pair.Key] = pair.Value
	}
	h.run, h.enqueued, h.eta, h.expires = 3, parseMillis(now), parseMillis(now), parseMillis(now)
	require.Equal(t, h, parseHeaders(stored))
	require.Equal(t, parseHeaders(nil), parseHeaders(map[string]string{
		"tmo": "0", "hard": "-1", "bo": "1,2", "crash": "0", "lim": "-1", "hist": "none", "nores": "0", "run": "1", "unknown": "x",
	}), "what another program wrote is the standard")
}

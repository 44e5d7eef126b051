package tasks_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/paidui/paidui/models/visible"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
)

const century = 100 * 366 * 24 * time.Hour

// options repeats one that the number names.
func options(n int, option func(i int) tasks.Option) []tasks.Option {
	list := make([]tasks.Option, n)
	for i := range list {
		list[i] = option(i)
	}
	return list
}

func TestMoreOptionsOutOfRange(t *testing.T) {
	t.Parallel()
	client := tasks.NewClient(taskstest.Embedded(t))
	long := strings.Repeat("x", 1025)
	callback := sum.Signature(pair{})
	for name, c := range map[string]struct {
		field string
		opts  []tasks.Option
	}{
		"priority unknown":            {"priority", []tasks.Option{tasks.Priority(7)}},
		"history unknown":             {"history", []tasks.Option{tasks.History(-1)}},
		"hard timeout negative":       {"hard_timeout", []tasks.Option{tasks.HardTimeout(-1)}},
		"hard timeout of a month":     {"hard_timeout", []tasks.Option{tasks.HardTimeout(31 * 24 * time.Hour)}},
		"hard timeout not above soft": {"hard_timeout", []tasks.Option{tasks.Timeout(time.Second), tasks.HardTimeout(time.Second)}},
		"hard timeout below standard": {"hard_timeout", []tasks.Option{tasks.HardTimeout(time.Minute)}},
		"no crashes":                  {"max_crashes", []tasks.Option{tasks.MaxCrashes(0)}},
		"crashes without end":         {"max_crashes", []tasks.Option{tasks.MaxCrashes(1001)}},
		"result limit negative":       {"result_limit", []tasks.Option{tasks.ResultLimit(-1)}},
		"result limit too large":      {"result_limit", []tasks.Option{tasks.ResultLimit(1<<20 + 1)}},
		"unique for a century":        {"unique_for", []tasks.Option{tasks.UniqueFor(century)}},
		"throttle negative":           {"throttle", []tasks.Option{tasks.Throttle(-1)}},
		"throttle of a century":       {"throttle", []tasks.Option{tasks.Throttle(century)}},
		"debounce negative":           {"debounce", []tasks.Option{tasks.Debounce(-1)}},
		"debounce of a century":       {"debounce", []tasks.Option{tasks.Debounce(century)}},
		"throttle and unique":         {"throttle", []tasks.Option{tasks.Throttle(1), tasks.UniqueUntilDone()}},
		"debounce and unique":         {"debounce", []tasks.Option{tasks.Debounce(1), tasks.UniqueFor(1)}},
		"debounce and throttle":       {"debounce", []tasks.Option{tasks.Debounce(1), tasks.Throttle(1)}},
		"debounce and countdown":      {"debounce", []tasks.Option{tasks.Debounce(1), tasks.Countdown(1)}},
		"debounce and eta":            {"debounce", []tasks.Option{tasks.Debounce(1), tasks.ETA(time.Now())}},
		"debounce and id":             {"debounce", []tasks.Option{tasks.Debounce(1), tasks.ID("mine")}},
		"debounce and expires":        {"expires", []tasks.Option{tasks.Debounce(time.Hour), tasks.Expires(time.Now().Add(time.Minute))}},
		"key empty":                   {"unique_key", []tasks.Option{tasks.Throttle(1), tasks.UniqueKey("")}},
		"key too long":                {"unique_key", []tasks.Option{tasks.Throttle(1), tasks.UniqueKey(long)}},
		"key of bytes":                {"unique_key", []tasks.Option{tasks.Throttle(1), tasks.UniqueKey("\xff")}},
		"key alone":                   {"unique_key", []tasks.Option{tasks.UniqueKey("k")}},
		"tag empty":                   {"tags", []tasks.Option{tasks.Tags("")}},
		"tag with a space":            {"tags", []tasks.Option{tasks.Tags("a b")}},
		"tag with a wide space":       {"tags", []tasks.Option{tasks.Tags("a\u3000b")}},
		"tag with a comma":            {"tags", []tasks.Option{tasks.Tags("a,b")}},
		"tag with a newline":          {"tags", []tasks.Option{tasks.Tags("a\n")}},
		"tag of bytes":                {"tags", []tasks.Option{tasks.Tags("\xff")}},
		"tag of 10 KB":                {"tags", []tasks.Option{tasks.Tags(strings.Repeat("x", 10<<10))}},
		"tag of 65 characters":        {"tags", []tasks.Option{tasks.Tags(strings.Repeat("长", 65))}},
		"17 tags":                     {"tags", options(17, func(i int) tasks.Option { return tasks.Tags(fmt.Sprint(i)) })},
		"header without key":          {"headers", []tasks.Option{tasks.Header("", "x")}},
		"header key with a space":     {"headers", []tasks.Option{tasks.Header("a b", "x")}},
		"header key too long":         {"headers", []tasks.Option{tasks.Header(strings.Repeat("k", 65), "x")}},
		"header too long":             {"headers", []tasks.Option{tasks.Header("k", long)}},
		"header of bytes":             {"headers", []tasks.Option{tasks.Header("k", "\xff")}},
		"33 headers":                  {"headers", options(33, func(i int) tasks.Option { return tasks.Header(fmt.Sprint(i), "") })},
		"headers too large":           {"headers", options(9, func(i int) tasks.Option { return tasks.Header(fmt.Sprint(i), long[:1024]) })},
		"9 callbacks":                 {"on_success", options(9, func(int) tasks.Option { return tasks.OnSuccess(callback) })},
		"callbacks too large": {"on_failure", options(3, func(int) tasks.Option {
			return tasks.OnFailure(callback.With(options(8, func(i int) tasks.Option { return tasks.Header(fmt.Sprint(i), long[:1000]) })...))
		})},
		"callback empty":             {"on_success[0].task", []tasks.Option{tasks.OnSuccess(tasks.Signature{})}},
		"callback with a bad option": {"on_success[1].countdown", []tasks.Option{tasks.OnSuccess(callback, callback.With(tasks.Countdown(-1)))}},
		"callback with bad args":     {"on_failure[0].args.even", []tasks.Option{tasks.OnFailure(evens.Signature(guarded{1}))}},
		"callback of a callback": {"on_success[0].on_failure[0].expires", []tasks.Option{
			tasks.OnSuccess(callback.With(tasks.OnFailure(callback.With(tasks.Expires(time.Unix(1, 0)))))),
		}},
		"retry rules": {"retry_only_for", []tasks.Option{tasks.RetryOnlyFor(tasks.ErrorIs(io.EOF))}},
		"never retry": {"never_retry_for", []tasks.Option{tasks.NeverRetryFor(tasks.ErrorAs[*fs.PathError]())}},
		"a backoff function": {"backoff_func", []tasks.Option{tasks.BackoffFunc(func(int, error) time.Duration {
			return 0
		})}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := sum.Enqueue(t.Context(), client, pair{}, c.opts...)
			var optErr *tasks.OptionError
			require.ErrorAs(t, err, &optErr)
			require.Equal(t, c.field, optErr.Field, "%v", err)
			require.Less(t, len(err.Error()), 400)
		})
	}
}

func TestOptionsAtTheirBounds(t *testing.T) {
	t.Parallel()
	client := tasks.NewClient(taskstest.Embedded(t))
	_, err := sum.Enqueue(t.Context(), client, pair{}, append(
		options(15, func(i int) tasks.Option { return tasks.Tags(fmt.Sprint(i), fmt.Sprint(i)) }), tasks.Tags(strings.Repeat("长", 64)),
		tasks.Timeout(tasks.MaxTimeout-time.Millisecond), tasks.HardTimeout(tasks.MaxTimeout), tasks.MaxCrashes(1000),
		tasks.ResultLimit(1<<20), tasks.Throttle(tasks.MaxRetention), tasks.UniqueKey(strings.Repeat("x", 1024)),
		tasks.Header(strings.Repeat("k", 64), strings.Repeat("v", 1024)), tasks.Priority(tasks.Low), tasks.History(tasks.HistoryOff),
		tasks.OnSuccess(sum.Signature(pair{})), tasks.OnFailure(sum.Signature(pair{})),
	)...)
	require.NoError(t, err)
	_, err = sum.Enqueue(t.Context(), client, pair{}, tasks.Timeout(tasks.MaxTimeout))
	require.NoError(t, err, "the standard hard limit is above any soft one")
}

// TestRulesHoldForDefinitionAndCallTogether: what is fine alone may not be so together.
func TestRulesHoldForDefinitionAndCallTogether(t *testing.T) {
	t.Parallel()
	client := tasks.NewClient(taskstest.Embedded(t))
	once := tasks.Define[pair, int]("test.once", tasks.UniqueUntilDone(), tasks.Tags("a"), tasks.HardTimeout(time.Hour),
		tasks.RetryOnlyFor(tasks.ErrorIs(io.EOF)))
	for _, c := range []struct {
		field string
		opts  []tasks.Option
	}{
		{"throttle", []tasks.Option{tasks.Throttle(time.Second)}},
		{"debounce", []tasks.Option{tasks.Debounce(time.Second)}},
		{"hard_timeout", []tasks.Option{tasks.Timeout(time.Hour)}},
		{"tags", options(16, func(i int) tasks.Option { return tasks.Tags(fmt.Sprint(i)) })},
		{"never_retry_for", []tasks.Option{tasks.NeverRetryFor(tasks.ErrorIs(io.EOF))}},
	} {
		_, err := once.Enqueue(t.Context(), client, pair{}, c.opts...)
		var optErr *tasks.OptionError
		require.ErrorAs(t, err, &optErr)
		require.Equal(t, c.field, optErr.Field)
	}
	_, err := once.Enqueue(t.Context(), client, pair{}, tasks.UniqueFor(0), tasks.Throttle(time.Second), tasks.UniqueKey("k"))
	require.NoError(t, err, "a call's option wins")
}

func TestDefineRefusesOptions(t *testing.T) {
	t.Parallel()
	for field, opts := range map[string][]tasks.Option{
		"tags":               {tasks.Tags("a b")},
		"unique_key":         {tasks.UniqueKey("alone")},
		"hard_timeout":       {tasks.HardTimeout(time.Second)},
		"on_success[0].task": {tasks.OnSuccess(tasks.Signature{})},
		"debounce":           {tasks.Debounce(time.Second), tasks.Countdown(time.Second)},
	} {
		require.PanicsWithError(t, fmt.Sprintf("task x: %v", optionOf(t, field, opts)), func() { tasks.Define[pair, int]("x", opts...) })
	}
}

// optionOf is why a call with the options is refused.
func optionOf(t *testing.T, field string, opts []tasks.Option) error {
	t.Helper()
	_, _, err := sum.Signature(pair{}, opts...).Resolve(t.Context(), tasks.NewClient(taskstest.Embedded(t)))
	var optErr *tasks.OptionError
	require.ErrorAs(t, err, &optErr)
	require.Equal(t, field, optErr.Field)
	return err
}

func TestIDsOfCallbacksDiffer(t *testing.T) {
	t.Parallel()
	call := func(id string, opts ...tasks.Option) tasks.Signature {
		return sum.Signature(pair{}, append(opts, tasks.ID(id))...)
	}
	for field, opts := range map[string][]tasks.Option{
		"on_success[0].id":               {tasks.ID("a"), tasks.OnSuccess(call("a"))},
		"on_failure[1].id":               {tasks.ID("a"), tasks.OnFailure(call("b"), call("a"))},
		"on_success[2].id":               {tasks.OnSuccess(call("a"), call("b"), call("a"))},
		"on_failure[0].id":               {tasks.OnSuccess(call("a")), tasks.OnFailure(call("a"))},
		"on_success[0].on_success[0].id": {tasks.ID("a"), tasks.OnSuccess(call("b", tasks.OnSuccess(call("a"))))},
		"on_success[0].on_failure[0].id": {tasks.OnSuccess(call("b", tasks.OnFailure(call("b"))))},
	} {
		optionOf(t, field, opts)
	}
	client := tasks.NewClient(taskstest.Embedded(t))
	_, err := sum.Enqueue(t.Context(), client, pair{}, tasks.ID("a"),
		tasks.OnSuccess(call("b", tasks.OnFailure(call("c")))), tasks.OnFailure(call("d"), sum.Signature(pair{}), sum.Signature(pair{})))
	require.NoError(t, err)
}

func TestErrorMatchers(t *testing.T) {
	t.Parallel()
	wrapped := fmt.Errorf("open: %w", &fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist})
	require.True(t, tasks.ErrorIs(fs.ErrNotExist).Match(wrapped))
	require.False(t, tasks.ErrorIs(io.EOF).Match(wrapped))
	require.True(t, tasks.ErrorAs[*fs.PathError]().Match(wrapped))
	require.False(t, tasks.ErrorAs[*tasks.OptionError]().Match(wrapped))
	require.False(t, tasks.ErrorMatcher{}.Match(errors.New("x")))
}

// TestValidTagsNeedNoEscaping: whatever is accepted as a tag is safe in a list with spaces or commas, and in a log line.
func TestValidTagsNeedNoEscaping(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tag := rapid.String().Draw(t, "tag")
		if tasks.ValidTag(tag) && (strings.ContainsAny(tag, " ,\n\t\r\x00\x7f") || len(strings.Fields(tag)) != 1 || !visible.Line(tag)) {
			t.Fatalf("%q is accepted", tag)
		}
	})
}

func TestParseRoutes(t *testing.T) {
	t.Parallel()
	routes, err := tasks.ParseRoutes(" sms.*=fast, ,report.[a-m]?=low,*=default ")
	require.NoError(t, err)
	require.Equal(t, "sms.*=fast,report.[a-m]?=low,*=default", routes.String())
	for task, want := range map[string]string{"sms.send": "fast", "report.b1": "low", "report.z1": "default", "sms": "default"} {
		queue, ok := routes.Queue(task)
		require.True(t, ok)
		require.Equal(t, want, queue)
	}
	none, err := tasks.ParseRoutes("")
	require.NoError(t, err)
	_, ok := none.Queue("sms.send")
	require.False(t, ok)
	_, err = tasks.ParseRoutes("sms.*,[=low,=low,a=b c,x=")
	for _, want := range []string{`"sms.*="`, `"[=low"`, `"=low"`, `"a=b c"`, `"x="`} {
		require.ErrorContains(t, err, want)
	}
}

func FuzzOptionsJSON(f *testing.F) {
	catalog, err := tasks.NewCatalog(sum, evens)
	require.NoError(f, err)
	client := tasks.NewClient(taskstest.Embedded(f))
	f.Add(`{"priority":"high","tags":["a"],"headers":{"k":"v"},"throttle":"1s","unique_key":"x"}`)
	f.Add(`{"debounce":1,"on_success":[{"task":"test.sum","args":{"n":1},"on_failure":[{"task":"test.evens","args":{"even":2}}]}]}`)
	f.Add(`{"unique_until_done":true,"hard_timeout":"1h","timeout":3,"history":"off","expires":"2030-01-01T00:00:00Z"}`)
	f.Fuzz(func(t *testing.T, text string) {
		var o tasks.Options
		if json.Unmarshal([]byte(text), &o) != nil {
			return
		}
		var optErr *tasks.OptionError
		opts, err := o.List(catalog)
		if err != nil {
			require.ErrorAs(t, err, &optErr)
			require.NotEmpty(t, optErr.Field)
			return
		}
		resolved, id, err := sum.Signature(pair{}, opts...).Resolve(t.Context(), client)
		if err != nil {
			require.ErrorAs(t, err, &optErr)
			require.NotEmpty(t, optErr.Field)
			return
		}
		require.True(t, tasks.ValidID(id))
		raw, err := json.Marshal(resolved)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(raw, new(tasks.Signature)), "%s", raw)
	})
}

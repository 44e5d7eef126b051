package tasks_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
)

type guarded struct {
	Even int `json:"even"`
}

func (g guarded) Validate() error {
	if g.Even%2 != 0 {
		return &tasks.ArgsError{Field: "even", Msg: "is odd"}
	}
	return nil
}

func TestArgumentsAreCheckedBeforeTheQueue(t *testing.T) {
	t.Parallel()
	client := tasks.NewClient(taskstest.Embedded(t))
	even := tasks.Define[guarded, struct{}]("test.even")
	_, err := even.Enqueue(t.Context(), client, guarded{1})
	var argsErr *tasks.ArgsError
	require.ErrorAs(t, err, &argsErr)
	require.Equal(t, "even", argsErr.Field)

	for raw, field := range map[string]string{
		`{}`: "even", ``: "even", ` `: "even", `{"even":3}`: "even", `{"even":"x"}`: "even", `{"even":null}`: "even",
		`{"even":2,"odd":1}`: "odd", `{"even":2,"even":4}`: "even", `{"Even":2}`: "Even", `null`: "", `7`: "",
	} {
		err := even.CheckArgs(json.RawMessage(raw))
		require.ErrorAs(t, err, &argsErr, raw)
		require.Equal(t, field, argsErr.Field, raw)
	}
	require.NoError(t, even.CheckArgs(json.RawMessage(`{"even":2}`)))
	require.JSONEq(t, `{"type":"object","required":["even"],"properties":{"even":{"type":"integer"}},"additionalProperties":false}`, string(even.Schema()))
}

func TestDefineRefusesMistakes(t *testing.T) {
	t.Parallel()
	for _, define := range []func(){
		func() { tasks.Define[pair, int]("") },
		func() { tasks.Define[pair, int]("With Space") },
		func() { tasks.Define[pair, int]("x", tasks.Queue("a b")) },
		func() { tasks.Define[pair, int]("x", tasks.ID("always-the-same")) },
		func() { tasks.Define[pair, int]("x", tasks.ETA(time.Now())) },
		func() { tasks.Define[func(), int]("x") },
	} {
		require.Panics(t, define)
	}
}

func TestCatalogAndMuxRefuseMistakes(t *testing.T) {
	t.Parallel()
	_, err := tasks.NewCatalog(sum, quick, tasks.Define[pair, string]("test.sum"))
	require.ErrorContains(t, err, `"test.sum" is defined twice`)
	catalog, err := tasks.NewCatalog(sum, quick)
	require.NoError(t, err)
	require.Equal(t, "test.quick", catalog.All()[0].Name())
	_, ok := catalog.Lookup("nobody")
	require.False(t, ok)

	m := mux()
	handler := func(context.Context, pair) (int, error) { return 0, nil }
	tasks.Handle(m, sum, handler)
	tasks.Handle(m, sum, handler)
	err = m.Verify(catalog)
	require.ErrorContains(t, err, `"test.sum" has two handlers`)
	require.ErrorContains(t, err, `"test.quick" has no handler`)
}

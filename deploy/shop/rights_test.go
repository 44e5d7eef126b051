package shop

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/boot"
	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/deploy/testenv"
)

// documentedUsers are the ACL commands of the documentation, by their users' names.
func documentedUsers(t *testing.T) map[string][]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", "operations.md"))
	require.NoError(t, err)
	users := make(map[string][]any)
	for _, line := range regexp.MustCompile(`(?m)^ACL SETUSER .*$`).FindAllString(string(text), -1) {
		var args []any
		for _, word := range strings.Fields(line) {
			if strings.HasPrefix(word, ">") {
				word = ">secret"
			}
			args = append(args, word)
		}
		users[args[2].(string)] = args
	}
	require.Len(t, users, 2)
	return users
}

// runLimited runs everything in one process as the two users, and returns where its API and its admin server are.
func runLimited(t *testing.T, server *testenv.RedisServer) (api, admin string) {
	t.Helper()
	as := func(user string, db int) string {
		u, err := url.Parse(server.URL(db))
		require.NoError(t, err)
		u.User = url.UserPassword(user, "secret")
		return u.String()
	}
	app, cfg := load(t, config.Local, []string{
		"PAIDUI_HTTP_ADDR=127.0.0.1:0",
		"PAIDUI_ADMIN_ADDR=127.0.0.1:0",
		"PAIDUI_BROKER_URL=" + as("paidui-broker", 1),
		"PAIDUI_CACHE_URL=" + as("paidui-cache", 2),
		"PAIDUI_DATABASE_URL=sqlite://" + filepath.Join(t.TempDir(), "paidui.db"),
		"PAIDUI_SCHEDULES=" + filepath.Join("..", "schedules.yaml"),
		"PAIDUI_LOG_LEVEL=error",
		"PAIDUI_OPERATOR_KEY=" + operatorKey,
	})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var out output
	ended := make(chan error, 1)
	go func() { ended <- boot.Local(ctx, app, cfg, &out) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	var where []string
	for where == nil {
		select {
		case err := <-ended:
			ended <- nil
			require.NoError(t, err)
			require.FailNow(t, "it ended", out.String())
		case <-time.After(20 * time.Millisecond):
			where = regexp.MustCompile(`(?s)ready\.  (http://\S+).*metrics\s+(http://\S+)/readyz`).FindStringSubmatch(out.String())
		}
	}
	return where[1], where[2]
}

// visitor calls the API.
type visitor struct {
	t    *testing.T
	base string
	auth string
}

func (v visitor) call(method, path, body string) map[string]any {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), method, v.base+path, strings.NewReader(body))
	require.NoError(v.t, err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if v.auth != "" {
		req.Header.Set("Authorization", "Bearer "+v.auth)
	}
	text := answerOf(v.t, req)
	var answer map[string]any
	require.NoError(v.t, json.Unmarshal([]byte(text), &answer), text)
	require.Contains(v.t, []any{100.0, 103.0, 102.0}, answer["code"], "%s %s: %s", method, path, text)
	return answer
}

// ends waits for the task that an answer names.
func (v visitor) ends(answer map[string]any) map[string]any {
	v.t.Helper()
	id := answer["task_id"].(string)
	for {
		task := v.call(http.MethodGet, "/v1/tasks/"+id+"?wait=20s", "")["data"].(map[string]any)
		if task["state"] == "SUCCESS" {
			return task
		}
		require.NotContains(v.t, []any{"FAILURE", "REVOKED"}, task["state"], task)
	}
}

// TestTheDocumentedRightsAreEnough runs what the program does as the users of the documentation. Redis notes every
// command, key and channel that it refuses.
func TestTheDocumentedRightsAreEnough(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	root := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer root.Close()
	for _, args := range documentedUsers(t) {
		require.NoError(t, root.Do(t.Context(), args...).Err())
	}
	api, admin := runLimited(t, server)
	anyone, operator := visitor{t, api, ""}, visitor{t, api, operatorKey}

	anyone.ends(anyone.call(http.MethodPost, "/v1/sms", `{"mobile":"13800138000"}`))
	messages := anyone.call(http.MethodGet, "/v1/outbox?mobile=13800138000", "")["data"]
	text, err := json.Marshal(messages)
	require.NoError(t, err)
	code := regexp.MustCompile(`"code":"(\d{6})"`).FindSubmatch(text)
	require.NotNil(t, code, string(text))
	login := anyone.call(http.MethodPost, "/v1/login", `{"mobile":"13800138000","code":"`+string(code[1])+`"}`)
	user := visitor{t, api, login["data"].(map[string]any)["token"].(string)}
	user.ends(user.call(http.MethodPost, "/v1/seckill", `{"goods_id":1}`))
	user.call(http.MethodPost, "/v1/followings/1", "")
	user.call(http.MethodPost, "/v1/articles", `{"title":"Hello","content":"from the queue"}`)
	operator.call(http.MethodPut, "/v1/banners/1", `{"title":"Changed"}`)
	for _, path := range []string{"/v1/banners", "/v1/users/1", "/v1/users/1/count", "/v1/rankings/articles?top=1", "/v1/articles/1"} {
		anyone.call(http.MethodGet, path, "")
	}
	operator.ends(operator.call(http.MethodPost, "/v1/tasks", `{"task":"refresh.counters","durable":true}`))
	operator.ends(operator.call(http.MethodPost, "/v1/tasks", `{"task":"refresh.followings"}`))
	operator.ends(operator.call(http.MethodPost, "/v1/tasks", `{"task":"demo.add","args":{"n":1,"m":2},"countdown":"1s"}`))
	later := operator.call(http.MethodPost, "/v1/tasks", `{"task":"demo.add","args":{"n":1,"m":2},"countdown":"1h","tags":["t"]}`)
	operator.call(http.MethodDelete, "/v1/tasks/"+later["task_id"].(string), "")
	require.NotEmpty(t, plain(t, admin+"/metrics"))

	require.Contains(t, plain(t, admin+"/readyz"), `"status":"ready"`)
	require.NotContains(t, plain(t, admin+"/readyz"), `"notes"`)
	refused, err := root.Do(t.Context(), "ACL", "LOG").Result()
	require.NoError(t, err)
	require.Empty(t, refused)
}

// TestMissingRightsAreToldByReadyz: what makes waits slower is a note, and tasks are run and waited for all the same.
func TestMissingRightsAreToldByReadyz(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	root := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer root.Close()
	for user, args := range documentedUsers(t) {
		require.NoError(t, root.Do(t.Context(), args...).Err())
		require.NoError(t, root.Do(t.Context(), "ACL", "SETUSER", user, "resetchannels").Err())
	}
	api, admin := runLimited(t, server)
	operator := visitor{t, api, operatorKey}
	operator.ends(operator.call(http.MethodPost, "/v1/tasks", `{"task":"demo.add","args":{"n":1,"m":2}}`))
	var ready struct {
		Status string
		Notes  []string
	}
	require.NoError(t, json.Unmarshal([]byte(plain(t, admin+"/readyz")), &ready))
	require.Equal(t, "ready", ready.Status)
	notes := strings.Join(ready.Notes, "\n")
	for _, want := range []string{
		"PAIDUI_BROKER_URL: no leave for PUBLISH paidui:events, SUBSCRIBE paidui:events",
		"PUBLISH paidui:terminate", "SUBSCRIBE asynq:cancel",
		"PAIDUI_CACHE_URL: no leave for PUBLISH paidui:cache, SUBSCRIBE paidui:cache",
	} {
		require.Contains(t, notes, want)
	}
}

func plain(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	return answerOf(t, req)
}

package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
)

// get asks the task API as an administrator, or as a stranger.
func get(t *testing.T, url, key string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, string(text)
}

func TestWhoSignsUpIsWelcomed(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, err := open(ctx, "", "sqlite://"+filepath.Join(t.TempDir(), "signup.db"))
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx, ln) }()
	at := "http://" + ln.Addr().String()

	post := func(email string) (int, string) {
		a, err := http.PostForm(at+"/signup", url.Values{"email": {email}})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		text, err := io.ReadAll(a.Body)
		if err != nil {
			t.Fatal(err)
		}
		return a.StatusCode, strings.TrimSpace(string(text))
	}
	status, id := post("ann@example.com")
	if status != http.StatusAccepted {
		t.Fatalf("sign-up: %d %s", status, id)
	}
	if status, text := post("ann@example.com"); status != http.StatusConflict {
		t.Fatalf("the same again: %d %s", status, text)
	}
	if status, text := post("nobody"); status != http.StatusBadRequest {
		t.Fatalf("no address: %d %s", status, text)
	}
	status, text := get(t, at+"/queue/v1/tasks/"+id+"?wait=30s", adminKey)
	var answer struct {
		Data struct{ State, Result any }
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil || status != http.StatusOK || answer.Data.Result != "welcome, ann@example.com" {
		t.Fatalf("the task: %d %s", status, text)
	}
	if status, text := get(t, at+"/queue/v1/tasks", ""); status != http.StatusUnauthorized {
		t.Fatalf("a stranger's search: %d %s", status, text)
	}
	if status, text := get(t, at+"/queue/v1/tasks", "wrong"); status != http.StatusUnauthorized {
		t.Fatalf("a wrong key's search: %d %s", status, text)
	}
	var users int64
	if err := s.db.Model(&User{}).Where("welcomed").Count(&users).Error; err != nil || users != 1 {
		t.Fatalf("%d users are welcomed, %v", users, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

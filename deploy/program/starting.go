package program

import (
	"encoding/json"
	"net/http"

	"golang.org/x/text/language"
)

// starting answers for the API until the stores are up, in the form of the API's own answers: come back in a second.
// The process is alive nevertheless, and /healthz says so.
func starting() http.Handler {
	languages := language.NewMatcher([]language.Tag{language.SimplifiedChinese, language.English})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, 100, "OK", map[string]string{"status": "ok"})
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		msg, tag := "服务正在启动，请稍后再试", "zh-CN"
		if _, i := language.MatchStrings(languages, r.Header.Get("Accept-Language")); i == 1 {
			msg, tag = "the service is starting; try again shortly", "en"
		}
		w.Header().Set("Content-Language", tag)
		w.Header().Set("Vary", "Accept-Language")
		w.Header().Set("Retry-After", "1")
		answer(w, http.StatusServiceUnavailable, http.StatusServiceUnavailable, msg, nil)
	})
	return mux
}

func answer(w http.ResponseWriter, status, code int, msg string, data any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// The only error left is that the client has gone.
	_ = json.NewEncoder(w).Encode(struct {
		Code int    `json:"code"`
		Msg  string `json:"msg"`
		Data any    `json:"data"`
	}{code, msg, data})
}
